using MassTransit;
using Microsoft.Extensions.DependencyInjection;
using RabbitMQ.Client;
using Support;

namespace Messaging.Compliance.Tests;

/// <summary>What RabbitMQ is asked for, and what it does with what nobody can read or nobody reads yet.</summary>
[Trait("Category", "Server")]
public sealed class QueueTests(RabbitMqTransport transport) : IClassFixture<RabbitMqTransport>
{
    [Fact]
    public async Task Queues_are_quorum_queues_and_temporary_ones_are_not()
    {
        var site = await transport.OpenAsync();
        await using var shop = await site.StartAsync(bus => bus.AddConsumer<ReadyConsumer>().Endpoint(e => e.Temporary = true));

        var queues = await transport.Broker.QueuesAsync(site.VirtualHost);

        queues.Where(q => q.Value == "quorum").Select(q => q.Key).Order().ShouldBe(["dead-letters", "order"]);
        queues.Count(q => q.Value == "classic").ShouldBe(1);
    }

    [Fact]
    public async Task Each_endpoint_has_the_prefetch_of_its_definition()
    {
        var site = await transport.OpenAsync();
        await using var shop = await site.StartAsync(bus =>
        {
            bus.AddConsumer<BatchConsumer, BatchDefinition>();
            bus.AddConsumer<ReadyConsumer>().Endpoint(e => (e.Name, e.PrefetchCount) = ("few", 3));
        }, services: s => s.AddSingleton<SlowWork>());

        var prefetch = await transport.Broker.PrefetchAsync(site.VirtualHost);

        prefetch["batches"].ShouldBe([16]);
        prefetch["few"].ShouldBe([3]);
    }

    public static TheoryData<string, byte[], string?> Poison => new()
    {
        { "garbage", [0xff, 0x00, 0xfe, 0x80], "application/vnd.masstransit+json" },
        { "depth", [.. Enumerable.Repeat((byte)'[', 10_000)], "application/vnd.masstransit+json" },
        { "empty", [], null },
        { "other JSON", "[1, 2]"u8.ToArray(), "application/json" },
        { "content type", "{}"u8.ToArray(), "no such type" },
    };

    [Theory]
    [MemberData(nameof(Poison))]
    public async Task A_message_that_cannot_be_read_is_a_dead_letter_and_blocks_nothing(string name, byte[] body, string? contentType)
    {
        var site = await transport.OpenAsync();
        await using var shop = await site.StartAsync();
        await PublishAsync(site, "order", body, contentType);
        var order = NewId.NextGuid();

        await shop.PublishAsync(new SubmitOrder(order));

        await shop.OrderIsAsync(order, o => o.CurrentState == "Packing", "the message behind it");
        await Eventually.TrueAsync(async () => await shop.CountAsync($"messaging.dead WHERE queue = 'order' AND octet_length(body) = {body.Length}") == 1, $"the dead letter of {name}");
        await Eventually.TrueAsync(async () => await transport.Broker.ReadyAsync(site.VirtualHost, "order") == 0, "an empty queue");
        (await shop.CountAsync("messaging.dead")).ShouldBe(1);
    }

    [Fact]
    public async Task A_message_to_a_queue_that_is_not_there_yet_waits_uncounted_and_arrives()
    {
        var site = await transport.OpenAsync();
        await using var shop = await site.StartAsync();
        var order = NewId.NextGuid();
        await shop.InScopeAsync(async (scope, db) =>
        {
            var packing = await scope.GetRequiredService<ISendEndpointProvider>().GetSendEndpoint(QueueAddress.Of("packing"));
            await packing.Send(new PackOrder(order));
            await db.SaveChangesAsync();
        });
        await Eventually.TrueAsync(async () =>
        {
            await shop.LapseLeasesAsync();
            return await shop.CountAsync("messaging.outbox WHERE attempts = 0 AND last_error LIKE '%returned%'") == 1;
        }, "the sweeper's try");

        await using var packer = await site.StartAsync(bus => bus.AddConsumer<PackingConsumer, PackingDefinition>());

        await Eventually.TrueAsync(async () => await shop.EffectsAsync(order) == 1, "the message");
        await Eventually.TrueAsync(async () => await shop.CountAsync($"messaging.outbox WHERE message_type LIKE '%PackOrder%'") == 0, "its row to go");
        (await shop.CountAsync("messaging.dead")).ShouldBe(0);
    }

    [Fact]
    public async Task A_message_published_for_nobody_is_sent()
    {
        await using var shop = await transport.StartAsync();

        await shop.PublishAsync(new OrderReady(NewId.NextGuid()));

        await shop.OutboxIsEmptyAsync();
        (await shop.CountAsync("messaging.dead")).ShouldBe(0);
        shop.Logs.At(Microsoft.Extensions.Logging.LogLevel.Warning).ShouldBeEmpty();
    }

    async Task PublishAsync(Site site, string queue, byte[] body, string? contentType)
    {
        var factory = new ConnectionFactory
        {
            HostName = "127.0.0.1",
            Port = transport.Broker.Port,
            VirtualHost = site.VirtualHost,
            UserName = transport.Broker.Username,
            Password = transport.Broker.Password,
        };
        await using var connection = await factory.CreateConnectionAsync();
        await using var channel = await connection.CreateChannelAsync(new CreateChannelOptions(publisherConfirmationsEnabled: true, publisherConfirmationTrackingEnabled: true));
        var properties = new BasicProperties();
        if (contentType is not null)
            properties.ContentType = contentType;
        await channel.BasicPublishAsync("", queue, mandatory: true, properties, body);
    }
}
