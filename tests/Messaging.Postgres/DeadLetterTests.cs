using MassTransit;
using Messaging.DeadLetters;
using Messaging.Postgres.DeadLetters;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Support;

namespace Messaging.Postgres.Tests;

[Trait("Category", "Server")]
public sealed class DeadLetterTests(PostgresServer server) : IClassFixture<PostgresServer>
{
    static DeadLetterBox Box(ShopHost shop) => shop.Services.GetRequiredService<DeadLetterBox>();

    static async Task<KeptLetter> OneAsync(ShopHost shop)
    {
        IReadOnlyList<KeptLetter> letters = [];
        await Eventually.TrueAsync(async () => (letters = await Box(shop).ListAsync(null, null, null, 10, 100, default)).Count == 1, "the dead letter");
        return letters[0];
    }

    [Fact]
    public async Task A_message_that_failed_takes_effect_once_when_its_cause_is_mended_and_it_is_requeued()
    {
        var cause = new Cause();
        await using var shop = await ShopHost.StartAsync(await server.CreateDatabaseAsync(), bus =>
        {
            bus.AddConsumer<MendableConsumer, MendableDefinition>();
            bus.AddConsumer<ReadyConsumer, ReadyDefinition>();
        }, services: s => s.AddSingleton(cause));
        var (order, message) = (NewId.NextGuid(), NewId.NextGuid());
        await shop.InScopeAsync(async (scope, db) =>
        {
            await scope.GetRequiredService<IPublishEndpoint>().Publish(new PackOrder(order), x => x.MessageId = message);
            await db.SaveChangesAsync();
        });
        var letter = await OneAsync(shop);
        (letter.Queue, letter.Reason, letter.MessageId).ShouldBe(("mendable", "error", message));
        // Its inbox row went with the rest.
        (await shop.CountAsync($"messaging.inbox WHERE message_id = '{message}'")).ShouldBe(0);
        (await shop.EffectsAsync(order)).ShouldBe(0);

        cause.IsMended = true;
        var answers = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Box(shop).RequeueAsync(letter.Id, default)));

        answers.Where(a => a is not null).ShouldHaveSingleItem()!.MessageId.ShouldBe(message);
        await Eventually.TrueAsync(async () => await shop.EffectsAsync(order) == 2, "its effect and its message's");
        await shop.OutboxIsEmptyAsync();
        (await shop.EffectsAsync(order)).ShouldBe(2);
        (await shop.CountAsync("messaging.dead")).ShouldBe(0);
        (await Box(shop).RequeueAsync(letter.Id, default)).ShouldBeNull();
        shop.Logs.At(LogLevel.Information).ShouldContain(l => l.StartsWith($"Dead letter {letter.Id} goes to exchange:mendable again, as message {message}"));
    }

    [Fact]
    public async Task A_requeued_message_that_fails_again_is_dead_again_under_its_id()
    {
        await using var shop = await ShopHost.StartAsync(
            await server.CreateDatabaseAsync(), bus => bus.AddConsumer<MendableConsumer, MendableDefinition>(), services: s => s.AddSingleton(new Cause()));
        await shop.PublishAsync(new PackOrder(NewId.NextGuid()));
        var first = await OneAsync(shop);

        await Box(shop).RequeueAsync(first.Id, default);

        await Eventually.TrueAsync(async () => await shop.CountAsync($"messaging.dead WHERE id <> '{first.Id}' AND message_id = '{first.MessageId}'") == 1, "its second death");
        await shop.OutboxIsEmptyAsync();
        (await shop.CountAsync("messaging.dead")).ShouldBe(1);
    }

    [Fact]
    public async Task A_skipped_message_is_taken_once_its_consumer_is_there()
    {
        var database = await server.CreateDatabaseAsync();
        var order = NewId.NextGuid();
        Guid letter;
        await using (var shop = await ShopHost.StartAsync(database, bus => bus.AddConsumer<PackingConsumer>().Endpoint(e => e.Name = "ready")))
        {
            var endpoint = await shop.Bus.GetSendEndpoint(new Uri("queue:ready"));
            await endpoint.Send(new OrderReady(order));
            var kept = await OneAsync(shop);
            kept.Reason.ShouldBe("skipped");
            letter = kept.Id;
        }

        await using var later = await ShopHost.StartAsync(database, bus => bus.AddConsumer<ReadyConsumer, ReadyDefinition>());
        (await Box(later).RequeueAsync(letter, default)).ShouldNotBeNull();
        await Eventually.TrueAsync(async () => await later.EffectsAsync(order) == 1, "the message");
    }

    [Fact]
    public async Task Text_that_PostgreSQL_cannot_hold_loses_no_dead_letter()
    {
        await using var shop = await ShopHost.StartAsync(await server.CreateDatabaseAsync());
        var endpoint = await shop.Bus.GetSendEndpoint(QueueAddress.Of(DeadLetter.QueueName));
        byte[] body = [0xFF, 0x00, 0x7B];

        await endpoint.Send(new DeadLetter(
            NewId.NextGuid(), "que\0ue", "error", null, ["urn:\0"], "", new Dictionary<string, string> { ["name\0"] = "value\0" }, body, "bad \0 byte", "at \0",
            TimeProvider.System.GetUtcNow().UtcDateTime));

        var kept = await OneAsync(shop);
        kept.Error.ShouldBe("bad \uFFFD byte");
        kept.BodyStart.ShouldBe(body);
        shop.Logs.At(LogLevel.Critical).ShouldBeEmpty();
    }

    [Fact]
    public async Task Pages_follow_one_another_whatever_dies_meanwhile()
    {
        await using var shop = await ShopHost.StartAsync(await server.CreateDatabaseAsync());
        const string Die = "INSERT INTO messaging.dead (id, died_at, queue, reason, message_type, content_type, body) ";
        // Many at one moment: their ids tell them apart.
        await shop.ExecuteAsync(Die + "SELECT gen_random_uuid(), now() - (i / 5) * interval '1 s', 'q' || i % 2, 'error', '', '', '' FROM generate_series(1, 23) i");
        var seen = new List<Guid>();
        (DateTime, Guid)? place = null;
        while (true)
        {
            var page = await Box(shop).ListAsync(null, "error", place, 4, 0, default);
            if (page.Count == 0)
                break;
            seen.AddRange(page.Select(l => l.Id));
            place = (page[^1].DiedAt, page[^1].Id);
            await shop.ExecuteAsync(Die + "VALUES (gen_random_uuid(), now() + interval '1 s', 'q', 'error', '', '', '')");
        }

        seen.ShouldBeUnique();
        seen.Count.ShouldBe(23);
        (await Box(shop).ListAsync("q1", null, null, 100, 0, default)).Count.ShouldBe(12);
        (await Box(shop).ListAsync(null, "skipped", null, 100, 0, default)).ShouldBeEmpty();
    }
}

public sealed class Cause
{
    public bool IsMended { get; set; }
}

public sealed class MendableConsumer(OrderContext db, Cause cause) : IConsumer<PackOrder>
{
    public async Task Consume(ConsumeContext<PackOrder> context)
    {
        db.Record(context.Message.OrderId, "mended");
        await db.SaveChangesAsync();
        await context.Publish(new OrderReady(context.Message.OrderId));
        if (!cause.IsMended)
            throw new InvalidOperationException("not mended yet");
    }
}

public sealed class MendableDefinition : ConsumerDefinition<MendableConsumer>
{
    public MendableDefinition() => EndpointName = "mendable";

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator, IConsumerConfigurator<MendableConsumer> consumerConfigurator, IRegistrationContext context) =>
        endpointConfigurator.UsePostgresOutbox<OrderContext>(context);
}
