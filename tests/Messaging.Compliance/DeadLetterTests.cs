using MassTransit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Support;

namespace Messaging.Compliance.Tests;

[Trait("Category", "Server")]
public abstract class DeadLetterTests(Transport transport)
{
    [Fact]
    public async Task What_fails_or_is_skipped_without_a_transaction_is_kept_with_error_and_stack()
    {
        await using var shop = await transport.StartAsync(bus => bus.AddConsumer<RefusingConsumer>().Endpoint(e => e.Name = "refusing"));
        var order = NewId.NextGuid();

        var endpoint = await shop.Bus.GetSendEndpoint(QueueAddress.Of("refusing"));
        await endpoint.Send(new PackOrder(order));
        await endpoint.Send(new OrderReady(order));

        await Eventually.TrueAsync(async () => await shop.CountAsync("messaging.dead") == 2, "both dead letters");
        (await shop.CountAsync(
            "messaging.dead WHERE queue = 'refusing' AND reason = 'error' AND error LIKE '%no boxes here%' AND stack LIKE '%RefusingConsumer%' "
            + $"AND message_type LIKE '%PackOrder%' AND convert_from(body, 'UTF8') LIKE '%{order}%'")).ShouldBe(1);
        (await shop.CountAsync("messaging.dead WHERE queue = 'refusing' AND reason = 'skipped' AND message_type LIKE '%OrderReady%' AND error IS NULL")).ShouldBe(1);
    }
}

public sealed class InMemoryDeadLetterTests(InMemoryTransport transport) : DeadLetterTests(transport), IClassFixture<InMemoryTransport>;

public sealed class RabbitMqDeadLetterTests(RabbitMqTransport transport) : DeadLetterTests(transport), IClassFixture<RabbitMqTransport>
{
    readonly RabbitMqTransport _transport = transport;

    [Fact]
    public async Task What_an_outage_stops_goes_back_to_its_queue_and_comes_again()
    {
        await using var shop = await _transport.StartAsync(
            bus => bus.AddConsumer<OutageConsumer>().Endpoint(e => e.Name = "outage"), services: s => s.AddSingleton(new Door()));
        var order = NewId.NextGuid();

        await shop.PublishAsync(new PackOrder(order));

        await shop.Services.GetRequiredService<Door>().Opened.Task.WaitAsync(TimeSpan.FromMinutes(1));
        (await shop.CountAsync("messaging.dead")).ShouldBe(0);
        shop.Logs.At(LogLevel.Warning).ShouldContain(l => l.StartsWith("Something that outage needs is away"));
    }

    [Fact]
    public async Task A_host_without_a_database_has_its_dead_letters_kept_even_by_one_that_comes_later()
    {
        var site = await _transport.OpenAsync();
        await using var worker = await WorkerHost.StartAsync(site.Settings, bus => bus.AddConsumer<RefusingConsumer>().Endpoint(e => e.Name = "refusing"));
        var endpoint = await worker.Bus.GetSendEndpoint(QueueAddress.Of("refusing"));
        await endpoint.Send(new PackOrder(NewId.NextGuid()));
        await Eventually.TrueAsync(() => worker.Logs.At(LogLevel.Warning).Any(l => l.StartsWith("A dead letter of refusing could not be sent")), "nobody to keep it");

        await using var shop = await site.StartAsync();

        await Eventually.TrueAsync(
            async () => await shop.CountAsync("messaging.dead WHERE queue = 'refusing' AND reason = 'error' AND error LIKE '%no boxes here%' AND stack LIKE '%RefusingConsumer%'") == 1,
            "the dead letter");
        (await shop.CountAsync("messaging.dead")).ShouldBe(1);
    }
}

/// <summary>Finds something away at first. Its endpoint has no retry.</summary>
public sealed class OutageConsumer(Door door) : IConsumer<PackOrder>
{
    public Task Consume(ConsumeContext<PackOrder> context)
    {
        if (door.Entered.TrySetResult())
            throw new ConnectionException("away");
        door.Opened.TrySetResult();
        return Task.CompletedTask;
    }
}
