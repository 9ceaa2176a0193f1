using System.Collections.Concurrent;
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
    public async Task While_the_bus_is_away_no_try_is_counted_no_row_is_held_and_afterwards_all_goes()
    {
        const int Rows = 500;
        await using var sweeper = await LoneSweeper.StartAsync(await server.CreateDatabaseAsync(), o => o.MaxAttempts = 2, ("queue:order", Rows));
        sweeper.Bus.Answer = _ => Task.FromException(new ConnectionException("the broker is not there"));

        sweeper.Start();
        await Eventually.TrueAsync(() => sweeper.Bus.Asked > 66, "a window of sends, and then some");
        // All but the one that finds out whether the broker is back.
        await Eventually.TrueAsync(
            async () => await sweeper.CountAsync("visible_at < now() AND attempts = 0 AND last_error IS NULL") >= Rows - 1, "the rows to be given back");
        sweeper.Bus.Asked.ShouldBeLessThan(Rows);
        sweeper.Logs.At(LogLevel.Warning).Count(l => l.Contains("the broker cannot be reached")).ShouldBe(1);
        sweeper.Bus.Answer = _ => Task.CompletedTask;

        await Eventually.TrueAsync(async () => await sweeper.CountAsync("true") == 0, "the messages to go");
        (await OutboxStatus.ReadAsync(sweeper.DataSource, default)).Dead.ShouldBe(0);
    }

    [Fact]
    public async Task A_destination_that_does_not_answer_keeps_only_its_own_messages_waiting()
    {
        const int Silent = 2000;
        await using var sweeper = await LoneSweeper.StartAsync(
            await server.CreateDatabaseAsync(), o => o.MaxAttempts = 2, ("queue:silent", Silent), ("queue:fine", 200));
        var door = new TaskCompletionSource();
        sweeper.Bus.Answer = to => to.AbsolutePath == "silent" ? door.Task : Task.CompletedTask;

        sweeper.Start();
        await Eventually.TrueAsync(async () => await sweeper.CountAsync("destination = 'queue:fine'") == 0, "the others to go");
        await Eventually.TrueAsync(() => sweeper.Logs.At(LogLevel.Warning).Any(l => l.Contains("does not confirm")), "the silence to be noticed");
        (await sweeper.CountAsync("attempts = 0")).ShouldBe(Silent);
        await sweeper.InsertAsync("queue:fine", 200);
        sweeper.WakeUp.Now();
        await Eventually.TrueAsync(async () => await sweeper.CountAsync("destination = 'queue:fine'") == 0, "later ones to go too");
        sweeper.Bus.Asked.ShouldBeLessThan(Silent / 2);
        door.SetResult();

        await Eventually.TrueAsync(async () => await sweeper.CountAsync("true") == 0, "all to go in the end");
    }

    [Fact]
    public async Task A_destination_that_ends_while_the_next_due_row_is_asked_for_goes_on_at_once()
    {
        // With one connection, who asks first is served first.
        var connection = new NpgsqlConnectionStringBuilder(await server.CreateDatabaseAsync()) { MaxPoolSize = 1 }.ConnectionString;
        await using var sweeper = await LoneSweeper.StartAsync(connection, o => o.SweepBatch = 1, ("queue:order", 2));
        using var waiting = new CountOf("db.client.connection.npgsql.pending_requests", "Npgsql");
        var door = new TaskCompletionSource();
        NpgsqlConnection? only = null;
        sweeper.Bus.Answer = async _ =>
        {
            if (only is not null)
                return;
            only = await sweeper.DataSource.OpenConnectionAsync();
            await door.Task;
        };

        sweeper.Start();
        await Eventually.TrueAsync(() => waiting.Value == 1, "a look for other destinations' rows");
        door.SetResult();
        await Eventually.TrueAsync(() => waiting.Value == 2, "the end of the first message");
        await only!.DisposeAsync();

        await Eventually.TrueAsync(() => sweeper.Bus.Asked == 2, "the second message, with no poll between", OutboxSweeper.Poll / 2);
    }

    [Fact]
    public async Task A_message_whose_queue_nobody_makes_waits_uncounted_and_is_dead_after_a_day()
    {
        await using var sweeper = await LoneSweeper.StartAsync(await server.CreateDatabaseAsync(), o => o.MaxAttempts = 5, ("queue:nobody", 3));
        sweeper.Bus.Answer = _ => Task.FromException(new MessageReturnedException("no route"));

        sweeper.Start();
        await Eventually.TrueAsync(async () => await sweeper.CountAsync("attempts = 0 AND last_error LIKE '%no route%'") > 0, "a try that counts for nothing");
        sweeper.Logs.At(LogLevel.Warning).ShouldContain(l => l.Contains("queue:nobody has no queue yet"));
        await sweeper.ExecuteAsync("UPDATE messaging.outbox SET sent_at = now() - interval '25 hours'");

        await Eventually.TrueAsync(async () => (await OutboxStatus.ReadAsync(sweeper.DataSource, default)) is { Unsent: 0, Dead: 3 }, "their death");
    }

    [Fact]
    public Task Twenty_thousand_due_rows_go_by_three_nodes_that_hold_few_at_a_time() => ManyRowsAsync(20_000);

    [Fact]
    [Trait("Category", "Soak")]
    public Task A_million_due_rows_go_by_three_nodes_that_hold_few_at_a_time() =>
        ManyRowsAsync(int.TryParse(Environment.GetEnvironmentVariable("SAGAS_ROWS"), out var chosen) ? chosen : 1_000_000);

    async Task ManyRowsAsync(int rows)
    {
        const int Nodes = 3;
        const int Batch = 200;
        var database = await server.CreateDatabaseAsync();
        var tally = new Tally();
        await using (var writer = await ShopHost.StartAsync(database, bus => bus.AddConsumer<TallyConsumer>(), services: s => s.AddSingleton(tally)))
        {
            writer.Crash();
            await writer.PublishAsync(new OrderReady(NewId.NextGuid()));
            await writer.ExecuteAsync(
                $"""
                INSERT INTO messaging.outbox (id, message_id, destination, message_type, content_type, headers, body, sent_at, visible_at)
                SELECT gen_random_uuid(), m, destination, message_type, content_type, headers,
                    convert_to(replace(convert_from(body, 'UTF8'), message_id::text, m::text), 'UTF8'), now(), now()
                FROM (SELECT gen_random_uuid() AS m FROM generate_series(2, {rows})) n, messaging.outbox;
                UPDATE messaging.outbox SET visible_at = now() + interval '1 hour'
                """);
        }

        var hosts = await Task.WhenAll(Enumerable.Range(0, Nodes).Select(_ => ShopHost.StartAsync(
            database, bus => bus.AddConsumer<TallyConsumer>(), o => (o.SweepBatch, o.FreeLeasesAtStart) = (Batch, false), s => s.AddSingleton(tally))));
        await hosts[0].LapseLeasesAsync();
        hosts[1].Services.GetRequiredService<OutboxWakeUp>().Now();
        hosts[2].Services.GetRequiredService<OutboxWakeUp>().Now();

        var most = 0L;
        await Eventually.TrueAsync(async () =>
        {
            most = Math.Max(most, await hosts[0].CountAsync("messaging.outbox WHERE visible_at > now()"));
            return await hosts[0].CountAsync("messaging.outbox") == 0;
        }, "an empty outbox", TimeSpan.FromMinutes(1 + (rows / 10_000)));
        await Eventually.TrueAsync(() => tally.Messages.Count == rows, "every message", TimeSpan.FromMinutes(1 + (rows / 10_000)));
        most.ShouldBeLessThanOrEqualTo(Nodes * (Batch + 1));
        (await hosts[0].CountAsync("messaging.dead")).ShouldBe(0);
        foreach (var host in hosts)
            await host.DisposeAsync();
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
        swept.Value.ShouldBeGreaterThanOrEqualTo(Count);
        foreach (var host in hosts)
            await host.DisposeAsync();
    }
}

/// <summary>A sweeper without a host, on a bus that does with each destination what a test says.</summary>
sealed class LoneSweeper : IAsyncDisposable
{
    readonly OutboxSweeper _sweeper;
    readonly ILoggerFactory _loggers;
    readonly SentMessages _sent;

    LoneSweeper(NpgsqlDataSource dataSource, PostgresMessagingOptions options)
    {
        DataSource = dataSource;
        var bus = DispatchProxy.Create<IBus, ScriptedBus>();
        Bus = (ScriptedBus)(object)bus;
        var gate = new BusGate();
        gate.Open();
        var clock = TimeProvider.System;
        _sent = new SentMessages(dataSource, clock, NullLogger<SentMessages>.Instance);
        _loggers = LoggerFactory.Create(b => b.AddProvider(Logs));
        _sweeper = new OutboxSweeper(
            dataSource, new OutboxSender(bus, gate, _sent, clock, NullLogger<OutboxSender>.Instance), gate, WakeUp, new BusTransport(IsInMemory: false), _sent,
            Options.Create(options), clock, _loggers.CreateLogger<OutboxSweeper>());
    }

    public NpgsqlDataSource DataSource { get; }

    public ScriptedBus Bus { get; }

    public OutboxWakeUp WakeUp { get; } = new();

    public LogLines Logs { get; } = new();

    public static async Task<LoneSweeper> StartAsync(string connection, Action<PostgresMessagingOptions> configure, params (string Destination, int Count)[] rows)
    {
        var options = new PostgresMessagingOptions();
        configure(options);
        var sweeper = new LoneSweeper(NpgsqlDataSource.Create(connection), options);
        await sweeper.ExecuteAsync(MessagingSchema.Sql);
        foreach (var (destination, count) in rows)
            await sweeper.InsertAsync(destination, count);
        return sweeper;
    }

    public void Start() => _sweeper.StartAsync(CancellationToken.None);

    public Task InsertAsync(string destination, int count) => ExecuteAsync(
        $"""
        INSERT INTO messaging.outbox (id, message_id, destination, message_type, content_type, body, sent_at, visible_at)
        SELECT gen_random_uuid(), gen_random_uuid(), '{destination}', 'urn:message:Any', 'application/vnd.masstransit+json', convert_to('any', 'UTF8'), now(), now()
        FROM generate_series(1, {count})
        """);

    public async Task<long> CountAsync(string where)
    {
        await using var command = DataSource.CreateCommand($"SELECT count(*) FROM messaging.outbox WHERE {where}");
        return (long)(await command.ExecuteScalarAsync())!;
    }

    public async Task ExecuteAsync(string sql)
    {
        await using var command = DataSource.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _sweeper.StopAsync(CancellationToken.None);
        _sweeper.Dispose();
        await _sent.DisposeAsync();
        _loggers.Dispose();
        await DataSource.DisposeAsync();
    }
}

public class ScriptedBus : DispatchProxy
{
    int _asked;

    /// <summary>What becomes of a send, by its destination.</summary>
    public Func<Uri, Task> Answer { get; set; } = _ => Task.CompletedTask;

    public int Asked => Volatile.Read(ref _asked);

    protected override object? Invoke(MethodInfo? targetMethod, object?[]? args)
    {
        targetMethod!.Name.ShouldBe(nameof(ISendEndpointProvider.GetSendEndpoint));
        var endpoint = DispatchProxy.Create<ISendEndpoint, ScriptedEndpoint>();
        ((ScriptedEndpoint)(object)endpoint).Send = () =>
        {
            Interlocked.Increment(ref _asked);
            return Answer((Uri)args![0]!);
        };
        return Task.FromResult(endpoint);
    }
}

public class ScriptedEndpoint : DispatchProxy
{
    public Func<Task> Send { get; set; } = () => Task.CompletedTask;

    protected override object? Invoke(MethodInfo? targetMethod, object?[]? args) => Send();
}

/// <summary>What arrived, each message once.</summary>
public sealed class Tally
{
    public ConcurrentDictionary<Guid, int> Messages { get; } = [];
}

public sealed class TallyConsumer(Tally tally) : IConsumer<OrderReady>
{
    public Task Consume(ConsumeContext<OrderReady> context)
    {
        tally.Messages.AddOrUpdate(context.MessageId!.Value, 1, (_, n) => n + 1);
        return Task.CompletedTask;
    }
}
