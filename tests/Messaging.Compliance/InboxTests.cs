using MassTransit;
using Messaging.Postgres.Inbox;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Support;

namespace Messaging.Compliance.Tests;

[Trait("Category", "Server")]
public abstract class InboxTests(Transport transport)
{
    const string CopyRows = "INSERT INTO messaging.outbox SELECT (json_populate_record(o, json_build_object('id', gen_random_uuid()))).* FROM messaging.outbox o";

    // Its consumer sends nothing: whatever comes twice is the twin.
    static readonly Action<IBusRegistrationConfigurator> Ready = bus => bus.AddConsumer<ReadyConsumer, ReadyDefinition>();

    static readonly Action<IBusRegistrationConfigurator> Packing = bus => bus.AddConsumer<PackingConsumer, PackingDefinition>();

    [Fact]
    public async Task Twins_that_arrive_together_have_one_effect()
    {
        await using var shop = await transport.StartAsync(Packing);
        var (order, message, last) = (NewId.NextGuid(), NewId.NextGuid(), NewId.NextGuid());
        using var twins = new CountOf("messaging.inbox.duplicates");

        await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => shop.Bus.Publish(new PackOrder(order), x => x.MessageId = message)));

        await Eventually.TrueAsync(() => twins.Value >= 19, "the twins to be dropped");
        (await shop.EffectsAsync(order)).ShouldBe(1);
        await shop.PublishAsync(new PackOrder(last));
        await Eventually.TrueAsync(async () => await shop.EffectsAsync(last) == 1, "the endpoint to go on");
        (await shop.CountAsync("messaging.dead")).ShouldBe(0);
        shop.Logs.At(LogLevel.Warning).ShouldBeEmpty();
    }

    [Fact]
    public async Task A_twin_that_comes_after_midnight_is_known()
    {
        var clock = new ShiftedClock();
        clock.MoveTo(new TimeOnly(23, 0));
        await using var shop = await transport.StartAsync(Ready, services: s => s.AddSingleton<TimeProvider>(clock));
        var order = NewId.NextGuid();
        shop.Crash();
        await shop.PublishAsync(new OrderReady(order));
        await shop.ExecuteAsync(CopyRows);
        await shop.ExecuteAsync("UPDATE messaging.outbox SET visible_at = 'infinity' WHERE ctid = (SELECT max(ctid) FROM messaging.outbox)");
        await shop.ExecuteAsync("UPDATE messaging.outbox SET visible_at = now() WHERE visible_at < 'infinity'");
        shop.Gate.Open();
        await Eventually.TrueAsync(async () => await shop.EffectsAsync(order) == 1, "the first of the twins");

        clock.Shift(TimeSpan.FromHours(6));
        using var twins = new CountOf("messaging.inbox.duplicates");
        await shop.LapseLeasesAsync();

        await Eventually.TrueAsync(() => twins.Value >= 1, "the twin to be dropped");
        (await shop.EffectsAsync(order)).ShouldBe(1);
        (await shop.CountAsync($"messaging.inbox WHERE day = '{clock.Today.AddDays(-1):yyyy-MM-dd}'")).ShouldBeGreaterThan(0);
    }

    [Fact]
    public async Task A_twin_of_a_message_scheduled_ten_days_ahead_is_known()
    {
        var clock = new ShiftedClock();
        await using var shop = await transport.StartAsync(Ready, services: s => s.AddSingleton<TimeProvider>(clock));
        var order = NewId.NextGuid();
        var due = clock.GetUtcNow().UtcDateTime.AddDays(10);
        await shop.InScopeAsync(async (scope, db) =>
        {
            await scope.GetRequiredService<IMessageScheduler>().SchedulePublish(due, new OrderReady(order));
            await db.SaveChangesAsync();
        });
        await shop.ExecuteAsync(CopyRows);
        clock.Shift(TimeSpan.FromDays(10));
        var partitions = shop.Services.GetRequiredService<InboxPartitions>();
        await partitions.MaintainAsync(clock.Today, default);

        await shop.ExecuteAsync("UPDATE messaging.outbox SET visible_at = now() WHERE ctid = (SELECT min(ctid) FROM messaging.outbox)");
        await shop.LapseLeasesAsync();
        await Eventually.TrueAsync(async () => await shop.EffectsAsync(order) == 1, "the scheduled message");
        clock.Shift(TimeSpan.FromDays(1));
        await partitions.MaintainAsync(clock.Today, default);
        using var twins = new CountOf("messaging.inbox.duplicates");
        await shop.ExecuteAsync("UPDATE messaging.outbox SET visible_at = now() WHERE due_at IS NOT NULL");
        await shop.LapseLeasesAsync();

        await Eventually.TrueAsync(() => twins.Value >= 1, "the twin to be dropped");
        (await shop.EffectsAsync(order)).ShouldBe(1);
        (await shop.CountAsync($"messaging.inbox WHERE day = '{due:yyyy-MM-dd}'")).ShouldBeGreaterThan(0);
    }

    [Fact]
    public async Task Slow_work_is_done_again_for_a_twin_but_its_transaction_runs_once()
    {
        await using var shop = await transport.StartAsync(bus =>
        {
            bus.AddConsumer<SlowConsumer, SlowDefinition>();
            bus.AddConsumer<ReadyConsumer, ReadyDefinition>();
        }, services: s => s.AddSingleton<SlowWork>());
        var work = shop.Services.GetRequiredService<SlowWork>();
        var (order, message) = (NewId.NextGuid(), NewId.NextGuid());

        for (var i = 0; i < 3; i++)
            await shop.Bus.Publish(new PackOrder(order), x => x.MessageId = message);

        await Eventually.TrueAsync(() => work.Results.Count == 3, "three runs");
        work.Results.Count(ran => ran).ShouldBe(1);
        await Eventually.TrueAsync(async () => await shop.EffectsAsync(order) == 2, "the effect and its message's");
        await shop.OutboxIsEmptyAsync();
        (await shop.EffectsAsync(order)).ShouldBe(2);
    }

    [Fact]
    public async Task What_a_failed_transaction_did_is_undone_and_its_message_retried_is_no_duplicate()
    {
        await using var shop = await transport.StartAsync(bus =>
        {
            bus.AddConsumer<SlowConsumer, SlowDefinition>();
            bus.AddConsumer<ReadyConsumer, ReadyDefinition>();
        }, services: s => s.AddSingleton<SlowWork>());
        var work = shop.Services.GetRequiredService<SlowWork>();
        work.FailOnce = true;
        var order = NewId.NextGuid();

        await shop.Bus.Publish(new PackOrder(order));

        await Eventually.TrueAsync(async () => await shop.EffectsAsync(order) == 2, "the effect and its message's");
        work.Results.ShouldBe([true]);
        (await shop.CountAsync("messaging.dead")).ShouldBe(0);
    }

    [Fact]
    public async Task A_batch_without_inbox_takes_members_it_had_before()
    {
        await using var shop = await transport.StartAsync(bus =>
        {
            bus.AddConsumer<BatchConsumer, BatchDefinition>();
            bus.AddConsumer<ReadyConsumer, ReadyDefinition>();
        }, services: s => s.AddSingleton<SlowWork>());
        var order = NewId.NextGuid();
        Guid[] members = [.. Enumerable.Range(0, BatchDefinition.Size).Select(_ => NewId.NextGuid())];

        // The second batch has the ids of the first: MassTransit gives a batch the id of a member.
        for (var batch = 1; batch <= 2; batch++)
        {
            foreach (var member in members)
                await shop.Bus.Publish(new PackOrder(order), x => x.MessageId = member);
            await Eventually.TrueAsync(async () => await shop.CountAsync("shop.effects WHERE \"Name\" = 'batch of 4'") == batch, $"batch {batch}");
        }

        await Eventually.TrueAsync(async () => await shop.CountAsync("shop.effects WHERE \"Name\" = 'ready'") == 2, "the messages of both");
        (await shop.CountAsync("messaging.dead")).ShouldBe(0);
        shop.Logs.At(LogLevel.Error).ShouldBeEmpty();
    }

    [Fact]
    public async Task A_batch_whose_connection_breaks_is_done_again_as_a_whole()
    {
        await using var shop = await transport.StartAsync(bus =>
        {
            bus.AddConsumer<BatchConsumer, BatchDefinition>();
            bus.AddConsumer<ReadyConsumer, ReadyDefinition>();
        }, services: s => s.AddSingleton<SlowWork>());
        shop.Services.GetRequiredService<SlowWork>().FailOnce = true;
        var order = NewId.NextGuid();

        for (var member = 0; member < BatchDefinition.Size; member++)
            await shop.Bus.Publish(new PackOrder(order));

        await Eventually.TrueAsync(async () => await shop.EffectsAsync(order) == 2, "the batch and its message");
        (await shop.CountAsync("shop.effects WHERE \"Name\" = 'batch of 4'")).ShouldBe(1);
        (await shop.CountAsync("messaging.dead")).ShouldBe(0);
    }
}

public sealed class InMemoryInboxTests(InMemoryTransport transport) : InboxTests(transport), IClassFixture<InMemoryTransport>;

public sealed class RabbitMqInboxTests(RabbitMqTransport transport) : InboxTests(transport), IClassFixture<RabbitMqTransport>;
