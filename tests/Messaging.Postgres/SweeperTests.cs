using System.Reflection;
using MassTransit;
using Messaging.Postgres.Outbox;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Npgsql;
using Support;

namespace Messaging.Postgres.Tests;

[Trait("Category", "Server")]
public sealed class SweeperTests(PostgresServer server) : IClassFixture<PostgresServer>
{
    const string Unsendable =
        """
        INSERT INTO messaging.outbox (id, message_id, destination, message_type, content_type, body, sent_at, visible_at)
        VALUES (gen_random_uuid(), gen_random_uuid(), 'nowhere://broken', 'urn:message:Broken', 'application/vnd.masstransit+json', '{}', now(), now())
        """;

    [Fact]
    public async Task A_message_that_cannot_be_sent_backs_off_and_is_dead_in_the_end()
    {
        await using var shop = await ShopHost.StartAsync(
            await server.CreateDatabaseAsync(), bus => bus.AddConsumer<ReadyConsumer, ReadyDefinition>(), o =>
            {
                o.MaxAttempts = 4;
                o.BackOff = TimeSpan.FromMilliseconds(50);
            });
        using var failed = new CountOf("messaging.outbox.failed");
        await shop.ExecuteAsync(Unsendable);
        shop.Services.GetRequiredService<OutboxWakeUp>().Now();
        var order = NewId.NextGuid();
        await shop.PublishAsync(new OrderReady(order));

        await Eventually.TrueAsync(
            async () => await shop.CountAsync("messaging.dead WHERE reason = 'unsendable' AND attempts = 4 AND queue = 'nowhere://broken'") == 1, "its death");
        failed.Value.ShouldBe(4);
        (await shop.CountAsync("messaging.dead WHERE error <> '' AND stack LIKE '%   at %'")).ShouldBe(1);
        await shop.OutboxIsEmptyAsync();
        (await shop.EffectsAsync(order)).ShouldBe(1);
        shop.Logs.At(LogLevel.Warning).Count(l => l.Contains("next try in")).ShouldBe(3);
    }

    [Fact]
    public async Task While_the_bus_is_away_no_try_is_counted_and_afterwards_all_goes()
    {
        var dataSource = NpgsqlDataSource.Create(await server.CreateDatabaseAsync());
        await using var _ = dataSource;
        await using var rows = dataSource.CreateCommand(MessagingSchema.Sql + Unsendable.Replace("nowhere://broken", "queue:order"));
        await rows.ExecuteNonQueryAsync();
        var bus = DispatchProxy.Create<IBus, AwayBus>();
        var away = (AwayBus)(object)bus;
        var gate = new BusGate();
        gate.Open();
        var clock = TimeProvider.System;
        var sent = new SentMessages(dataSource, clock, NullLogger<SentMessages>.Instance);
        var logs = new LogLines();
        using var loggers = LoggerFactory.Create(b => b.AddProvider(logs));
        using var sweeper = new OutboxSweeper(
            dataSource, new OutboxSender(bus, gate, sent, clock, NullLogger<OutboxSender>.Instance), gate, new OutboxWakeUp(), new BusTransport(IsInMemory: true),
            Options.Create(new PostgresMessagingOptions { MaxAttempts = 2 }), clock, loggers.CreateLogger<OutboxSweeper>());

        await sweeper.StartAsync(default);
        await away.Asked(3).WaitAsync(TimeSpan.FromSeconds(30));
        await using (var count = dataSource.CreateCommand("SELECT count(*) FROM messaging.outbox WHERE attempts = 0 AND last_error IS NULL"))
            (await count.ExecuteScalarAsync()).ShouldBe(1L);
        logs.At(LogLevel.Warning).ShouldContain(l => l.Contains("cannot be reached"));
        away.IsBack = true;

        await Eventually.TrueAsync(async () => (await OutboxStatus.ReadAsync(dataSource, default)).Unsent == 0, "the message to go");
        await sweeper.StopAsync(default);
        (await OutboxStatus.ReadAsync(dataSource, default)).Dead.ShouldBe(0);
    }

    [Fact]
    public async Task A_sweeper_whose_connections_break_goes_on()
    {
        await using var shop = await ShopHost.StartAsync(await server.CreateDatabaseAsync(), bus => bus.AddConsumer<ReadyConsumer, ReadyDefinition>());
        var order = NewId.NextGuid();
        for (var i = 0; i < 5; i++)
        {
            await using (var killer = new NpgsqlConnection(server.ConnectionString))
            {
                await killer.OpenAsync();
                await using var kill = new NpgsqlCommand(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()", killer)
                {
                    Parameters = { new() { Value = new NpgsqlConnectionStringBuilder(shop.DataSource.ConnectionString).Database } },
                };
                await kill.ExecuteNonQueryAsync();
            }

            shop.Services.GetRequiredService<OutboxWakeUp>().Now();
        }

        await Eventually.TrueAsync(async () =>
        {
            try
            {
                await shop.InScopeAsync(async (scope, db) =>
                {
                    await scope.GetRequiredService<IMessageScheduler>()
                        .SchedulePublish(TimeProvider.System.GetUtcNow().UtcDateTime.AddMilliseconds(100), new OrderReady(order));
                    await db.SaveChangesAsync();
                });
                return true;
            }
            catch (Exception exception) when (TransientError.IsTransient(exception))
            {
                return false;
            }
        }, "a healthy connection");
        await Eventually.TrueAsync(async () => await shop.EffectsAsync(order) == 1, "the message");
    }

    [Fact]
    public async Task Two_sweepers_share_the_work_and_nothing_has_two_effects()
    {
        var database = await server.CreateDatabaseAsync();
        const int Count = 400;
        var order = NewId.NextGuid();
        await using (var writer = await ShopHost.StartAsync(database))
        {
            writer.Crash();
            await writer.InScopeAsync(async (scope, db) =>
            {
                var publish = scope.GetRequiredService<IPublishEndpoint>();
                for (var i = 0; i < Count; i++)
                    await publish.Publish(new OrderReady(order));
                await db.SaveChangesAsync();
            });
        }

        using var swept = new CountOf("messaging.outbox.swept");
        var hosts = await Task.WhenAll(Enumerable.Range(0, 2).Select(_ => ShopHost.StartAsync(
            database, bus => bus.AddConsumer<ReadyConsumer, ReadyDefinition>(), o =>
            {
                o.SweepBatch = 20;
                o.FreeLeasesAtStart = false;
            })));
        await hosts[0].LapseLeasesAsync();
        hosts[1].Services.GetRequiredService<OutboxWakeUp>().Now();

        await Eventually.TrueAsync(async () => await hosts[0].EffectsAsync(order) == Count, "all effects");
        await hosts[0].OutboxIsEmptyAsync();
        (await hosts[0].EffectsAsync(order)).ShouldBe(Count);
        swept.Value.ShouldBe(Count);
        foreach (var host in hosts)
            await host.DisposeAsync();
    }
}

/// <summary>A bus whose broker cannot be reached until it is back.</summary>
public class AwayBus : DispatchProxy
{
    readonly List<(int Times, TaskCompletionSource Done)> _waiting = [];
    int _asked;

    public bool IsBack { get; set; }

    public Task Asked(int times)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_waiting)
            _waiting.Add((times, done));
        return done.Task;
    }

    protected override object? Invoke(MethodInfo? targetMethod, object?[]? args)
    {
        targetMethod!.Name.ShouldBe(nameof(ISendEndpointProvider.GetSendEndpoint));
        lock (_waiting)
        {
            _asked++;
            foreach (var (_, done) in _waiting.Where(w => w.Times <= _asked))
                done.TrySetResult();
        }

        return IsBack
            ? Task.FromResult(DispatchProxy.Create<ISendEndpoint, SilentEndpoint>())
            : Task.FromException<ISendEndpoint>(new ConnectionException("the broker is not there"));
    }
}

public class SilentEndpoint : DispatchProxy
{
    protected override object? Invoke(MethodInfo? targetMethod, object?[]? args) => Task.CompletedTask;
}
