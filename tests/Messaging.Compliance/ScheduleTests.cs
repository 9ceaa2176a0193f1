using MassTransit;
using Messaging.Postgres;
using Messaging.Postgres.Outbox;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Support;

namespace Messaging.Compliance.Tests;

[Trait("Category", "Server")]
public abstract class ScheduleTests(Transport transport)
{
    static readonly TimeSpan Long = TimeSpan.FromHours(1);

    static async Task<(ShopHost Shop, Guid Order)> SubmittedAsync(Site site, TimeSpan hold)
    {
        var shop = await site.StartAsync(bus => bus.AddConsumer<ReadyConsumer, ReadyDefinition>());
        var id = NewId.NextGuid();
        await shop.PublishAsync(new SubmitOrder(id));
        await shop.OrderIsAsync(id, o => o.CurrentState == "Packing", "the order");
        await shop.PublishAsync(new HoldOrder(id, hold));
        await shop.OrderIsAsync(id, o => o.HoldToken is not null || o.HoldsEnded > 0, "the schedule");
        return (shop, id);
    }

    [Fact]
    public async Task A_sagas_timeout_comes_when_it_is_due()
    {
        var (shop, id) = await SubmittedAsync(await transport.OpenAsync(), TimeSpan.FromMilliseconds(300));
        await using var _ = shop;

        await shop.OrderIsAsync(id, o => o is { HoldsEnded: 1, HoldToken: null }, "the timeout");
        await shop.OutboxIsEmptyAsync();
        shop.Logs.At(LogLevel.Error).ShouldBeEmpty();
    }

    [Fact]
    public async Task A_timeout_waits_for_its_time_and_survives_a_restart()
    {
        var site = await transport.OpenAsync();
        var (shop, id) = await SubmittedAsync(site, Long);
        await Eventually.TrueAsync(
            async () => await OutboxStatus.ReadAsync(shop.DataSource, default) == new OutboxStatus(1, 0, 1, 0, TimeSpan.Zero), "nothing but the schedule");
        await shop.DisposeAsync();

        await using var restarted = await site.StartAsync();
        (await OutboxRecovery.FreeLeasesAsync(restarted.DataSource, default)).ShouldBe(0);
        (await restarted.OrderAsync(id))!.HoldsEnded.ShouldBe(0);
        await ComeDueAsync(restarted);
        await restarted.OrderIsAsync(id, o => o.HoldsEnded == 1, "the timeout");
    }

    [Fact]
    public async Task A_cancelled_timeout_is_gone()
    {
        var (shop, id) = await SubmittedAsync(await transport.OpenAsync(), Long);
        await using var _ = shop;

        await shop.PublishAsync(new ReleaseOrder(id));

        await shop.OrderIsAsync(id, o => o.HoldToken is null, "the release");
        await shop.OutboxIsEmptyAsync();
    }

    [Fact]
    public async Task A_timeout_that_was_on_its_way_when_it_was_replaced_is_ignored()
    {
        var (shop, id) = await SubmittedAsync(await transport.OpenAsync(), Long);
        await using var _ = shop;
        var replaced = (await shop.OrderAsync(id))!.HoldToken;
        // As a sweeper does that claims the row just before it is cancelled.
        await shop.ExecuteAsync(
            "INSERT INTO messaging.outbox SELECT (json_populate_record(o, json_build_object('id', gen_random_uuid(), 'token_id', NULL))).* FROM messaging.outbox o");

        await shop.PublishAsync(new HoldOrder(id, Long));
        await shop.OrderIsAsync(id, o => o.HoldToken is not null && o.HoldToken != replaced, "the new schedule");
        await shop.ExecuteAsync("UPDATE messaging.outbox SET visible_at = now() WHERE token_id IS NULL");
        await shop.LapseLeasesAsync();

        await Eventually.TrueAsync(async () => await shop.CountAsync("messaging.outbox WHERE token_id IS NULL") == 0, "the old timeout to go");
        await shop.PublishAsync(new RenameOrder("", "later"));
        await shop.OrderIsAsync(id, o => o.Reference == "later", "a later message");
        (await shop.OrderAsync(id))!.HoldsEnded.ShouldBe(0);
        await ComeDueAsync(shop);
        await shop.OrderIsAsync(id, o => o.HoldsEnded == 1, "the new timeout");
        (await shop.CountAsync("messaging.dead")).ShouldBe(0);
    }

    [Fact]
    public async Task A_timeout_that_was_on_its_way_when_it_was_cancelled_is_ignored()
    {
        var (shop, id) = await SubmittedAsync(await transport.OpenAsync(), Long);
        await using var _ = shop;
        // As a sweeper does that claims the row just before it is cancelled.
        await shop.ExecuteAsync("UPDATE messaging.outbox SET token_id = NULL WHERE token_id IS NOT NULL");
        await shop.PublishAsync(new ReleaseOrder(id));
        await shop.OrderIsAsync(id, o => o.HoldToken is null, "the release");

        await ComeDueAsync(shop);

        await shop.OutboxIsEmptyAsync();
        await shop.PublishAsync(new RenameOrder("", "later"));
        await shop.OrderIsAsync(id, o => o.Reference == "later", "a later message");
        (await shop.OrderAsync(id))!.HoldsEnded.ShouldBe(0);
        (await shop.CountAsync("messaging.dead")).ShouldBe(0);
    }

    [Fact]
    public async Task A_scope_schedules_with_its_commit_and_can_cancel()
    {
        await using var shop = await transport.StartAsync(bus => bus.AddConsumer<ReadyConsumer, ReadyDefinition>());
        var now = TimeProvider.System.GetUtcNow().UtcDateTime;
        var (cancelled, kept) = (NewId.NextGuid(), NewId.NextGuid());
        var token = Guid.Empty;

        await shop.InScopeAsync(async (scope, db) =>
        {
            var scheduler = scope.GetRequiredService<IMessageScheduler>();
            token = (await scheduler.SchedulePublish(now.AddHours(1), new OrderReady(cancelled))).TokenId;
            await scheduler.SchedulePublish(now.AddMilliseconds(500), new OrderReady(kept));
            (await shop.CountAsync("messaging.outbox")).ShouldBe(0);
            await db.SaveChangesAsync();
        });
        await shop.InScopeAsync((scope, _) => scope.GetRequiredService<IMessageScheduler>().CancelScheduledPublish<OrderReady>(token, default));

        await Eventually.TrueAsync(async () => await shop.EffectsAsync(kept) == 1, "the kept one");
        await shop.OutboxIsEmptyAsync();
        (await shop.EffectsAsync(cancelled)).ShouldBe(0);
    }

    [Fact]
    public async Task Many_schedules_come_close_to_their_time()
    {
        await using var shop = await transport.StartAsync(bus => bus.AddConsumer<LatenessConsumer>().Endpoint(e => e.Name = "lateness"));
        LatenessConsumer.Lateness.Clear();
        const int Count = 300;
        var start = TimeProvider.System.GetUtcNow().UtcDateTime.AddSeconds(2);
        await shop.InScopeAsync(async (scope, db) =>
        {
            var scheduler = scope.GetRequiredService<IMessageScheduler>();
            for (var i = 0; i < Count; i++)
                await scheduler.SchedulePublish(start.AddMilliseconds(i * 3), new Due(start.AddMilliseconds(i * 3)));
            await db.SaveChangesAsync();
        });

        await Eventually.TrueAsync(() => LatenessConsumer.Lateness.Count == Count, "all of them");
        var sorted = LatenessConsumer.Lateness.Order().ToArray();
        sorted[0].ShouldBeGreaterThan(TimeSpan.FromMilliseconds(-50));
        // Wide, because other tests may share the machine; idle it is about 20 ms.
        sorted[Count / 2].ShouldBeLessThan(TimeSpan.FromSeconds(1));
    }

    static async Task ComeDueAsync(ShopHost shop)
    {
        await shop.ExecuteAsync("UPDATE messaging.outbox SET due_at = now(), visible_at = now()");
        shop.Services.GetRequiredService<OutboxWakeUp>().Now();
    }
}

public sealed record Due(DateTime At);

public sealed class LatenessConsumer : IConsumer<Due>
{
    public static System.Collections.Concurrent.ConcurrentBag<TimeSpan> Lateness { get; } = [];

    public Task Consume(ConsumeContext<Due> context)
    {
        Lateness.Add(TimeProvider.System.GetUtcNow().UtcDateTime - context.Message.At);
        return Task.CompletedTask;
    }
}

public sealed class InMemoryScheduleTests(InMemoryTransport transport) : ScheduleTests(transport), IClassFixture<InMemoryTransport>;

public sealed class RabbitMqScheduleTests(RabbitMqTransport transport) : ScheduleTests(transport), IClassFixture<RabbitMqTransport>;
