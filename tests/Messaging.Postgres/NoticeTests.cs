using MassTransit;
using Messaging.Postgres.DeadLetters;
using Messaging.Postgres.Outbox;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;
using Support;

namespace Messaging.Postgres.Tests;

/// <summary>Nodes whose poll never comes: whatever they find, they were told of.</summary>
[Trait("Category", "Server")]
public sealed class NoticeTests(PostgresServer server) : IClassFixture<PostgresServer>
{
    static readonly Action<IBusRegistrationConfigurator> Ready = bus => bus.AddConsumer<ReadyConsumer, ReadyDefinition>();

    static Task<ShopHost> HearingAsync(string database) => ShopHost.StartAsync(
        database, Ready, o => (o.FreeLeasesAtStart, o.GaugeInterval) = (false, TimeSpan.FromHours(1)), s => s.AddSingleton<TimeProvider>(new PatientClock()));

    static Task<ShopHost> NotSweepingAsync(string database, Action<IBusRegistrationConfigurator>? bus = null, Action<IServiceCollection>? services = null) =>
        ShopHost.StartAsync(database, bus, o => o.Sweep = false, services);

    [Fact]
    public async Task A_requeued_dead_letter_is_sent_by_a_node_that_hears_of_it()
    {
        var database = await server.CreateDatabaseAsync();
        await using var teller = await NotSweepingAsync(database);
        await using var hearing = await HearingAsync(database);
        await ListenersAsync(hearing, 1);

        var order = await RequeueAsync(teller);

        await Eventually.TrueAsync(async () => await hearing.EffectsAsync(order) == 1, "the notice");
    }

    [Fact]
    public async Task What_a_closing_node_leaves_behind_is_sent_by_one_that_hears_of_it()
    {
        var database = await server.CreateDatabaseAsync();
        var door = new Door();
        var order = NewId.NextGuid();
        var closing = await NotSweepingAsync(database, bus => bus.AddConsumer<WaitingConsumer, WaitingDefinition>(), s => s.AddSingleton(door));
        await using var hearing = await HearingAsync(database);
        await ListenersAsync(hearing, 1);
        await closing.Bus.Publish(new PackOrder(order));
        await door.Entered.Task.WaitAsync(TimeSpan.FromSeconds(30));

        var stopping = closing.StopAsync();
        await Eventually.TrueAsync(() => !closing.Gate.IsOpen, "the bus to stop");
        door.Opened.SetResult();
        await stopping;

        await Eventually.TrueAsync(async () => await hearing.EffectsAsync(order) == 2, "both effects");
        await closing.DisposeAsync();
    }

    [Fact]
    public async Task A_schedule_of_a_node_that_does_not_sweep_is_sent_by_one_that_hears_of_it()
    {
        var database = await server.CreateDatabaseAsync();
        await using var teller = await NotSweepingAsync(database);
        await using var hearing = await HearingAsync(database);
        await ListenersAsync(hearing, 1);
        var order = NewId.NextGuid();

        await teller.InScopeAsync(async (scope, db) =>
        {
            await scope.GetRequiredService<IMessageScheduler>().SchedulePublish(TimeProvider.System.GetUtcNow().UtcDateTime.AddMilliseconds(300), new OrderReady(order));
            await db.SaveChangesAsync();
        });

        await Eventually.TrueAsync(async () => await hearing.EffectsAsync(order) == 1, "the notice, and then the time");
    }

    [Fact]
    public async Task A_listener_whose_connection_is_killed_hears_again()
    {
        var database = await server.CreateDatabaseAsync();
        await using var teller = await NotSweepingAsync(database);
        await using var hearing = await HearingAsync(database);
        for (var kills = 1; kills <= 2; kills++)
        {
            await ListenersAsync(hearing, 1);
            await hearing.ExecuteAsync($"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {Listening}");
            await Eventually.TrueAsync(() => hearing.Logs.At(LogLevel.Information).Count(l => l.Contains("heard again")) == kills, "a new connection");
            var order = await RequeueAsync(teller);
            await Eventually.TrueAsync(async () => await hearing.EffectsAsync(order) == 1, "the notice");
        }

        hearing.Logs.At(LogLevel.Warning).Count(l => l.Contains("not heard")).ShouldBe(2);
    }

    [Fact]
    public async Task Without_listening_the_poll_finds_the_same()
    {
        var database = await server.CreateDatabaseAsync();
        await using var teller = await NotSweepingAsync(database);
        await using var deaf = await ShopHost.StartAsync(database, Ready, o => (o.Listen, o.FreeLeasesAtStart) = (false, false));

        var order = await RequeueAsync(teller);

        await Eventually.TrueAsync(async () => await deaf.EffectsAsync(order) == 1, "the poll");
        (await deaf.CountAsync($"pg_stat_activity WHERE {Listening}")).ShouldBe(0);
    }

    [Fact]
    public async Task Neither_a_submit_nor_a_consumer_nor_a_schedule_gives_notice_where_its_node_sweeps()
    {
        await using var shop = await ShopHost.StartAsync(await server.CreateDatabaseAsync(), bus =>
        {
            bus.AddConsumer<PackingConsumer, PackingDefinition>();
            bus.AddConsumer<ReadyConsumer, ReadyDefinition>();
        });
        var notices = 0;
        await using var listener = await shop.DataSource.OpenConnectionAsync();
        listener.Notification += (_, _) => notices++;
        await using (var listen = new NpgsqlCommand("LISTEN messaging_outbox", listener))
            await listen.ExecuteNonQueryAsync();
        var order = NewId.NextGuid();

        await shop.PublishAsync(new SubmitOrder(order));
        await shop.OrderIsAsync(order, o => o.CurrentState == "Ready", "the order");
        await shop.PublishAsync(new HoldOrder(order, TimeSpan.FromMilliseconds(100)));
        await shop.OrderIsAsync(order, o => o.HoldsEnded == 1, "the schedule");
        shop.Services.GetRequiredService<OutboxWakeUp>().Everywhere();
        (await listener.WaitAsync(TimeSpan.FromSeconds(30))).ShouldBeTrue();

        notices.ShouldBe(1);
    }

    const string Listening = $"datname = current_database() AND application_name = '{OutboxNotices.ListenerName}' AND query LIKE 'LISTEN%' AND state = 'idle'";

    static Task ListenersAsync(ShopHost shop, int count) =>
        Eventually.TrueAsync(async () => await shop.CountAsync($"pg_stat_activity WHERE {Listening}") == count, "a listener");

    /// <summary>As after its cause was mended.</summary>
    static async Task<Guid> RequeueAsync(ShopHost shop)
    {
        var order = NewId.NextGuid();
        await shop.OutboxIsEmptyAsync();
        shop.Crash();
        await shop.PublishAsync(new OrderReady(order));
        await shop.ExecuteAsync(
            """
            INSERT INTO messaging.dead (id, queue, reason, message_id, message_type, content_type, headers, body)
            SELECT id, destination, 'unsendable', message_id, message_type, content_type, headers, body FROM messaging.outbox;
            DELETE FROM messaging.outbox
            """);
        var box = shop.Services.GetRequiredService<DeadLetterBox>();
        var letter = (await box.ListAsync(null, null, null, 10, 0, default)).ShouldHaveSingleItem();
        (await box.RequeueAsync(letter.Id, default)).ShouldNotBeNull();
        return order;
    }
}

/// <summary>The system's clock, but timers of a sweeper's poll and longer never come.</summary>
sealed class PatientClock : TimeProvider
{
    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        System.CreateTimer(callback, state, dueTime > OutboxSweeper.Poll - TimeSpan.FromMilliseconds(500) ? Timeout.InfiniteTimeSpan : dueTime, period);
}
