using MassTransit;
using Messaging.Postgres.Inbox;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Support;

namespace Messaging.Postgres.Tests;

[Trait("Category", "Server")]
public sealed class InboxTests(PostgresServer server) : IClassFixture<PostgresServer>
{
    const string CopyRows = "INSERT INTO messaging.outbox SELECT (json_populate_record(o, json_build_object('id', gen_random_uuid()))).* FROM messaging.outbox o";

    // Its consumer sends nothing: whatever comes twice is the twin.
    static readonly Action<IBusRegistrationConfigurator> Ready = bus => bus.AddConsumer<ReadyConsumer, ReadyDefinition>();

    static readonly Action<IBusRegistrationConfigurator> Packing = bus => bus.AddConsumer<PackingConsumer, PackingDefinition>();

    [Fact]
    public async Task Twins_that_arrive_together_have_one_effect()
    {
        await using var shop = await ShopHost.StartAsync(await server.CreateDatabaseAsync(), Packing);
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
        await using var shop = await ShopHost.StartAsync(
            await server.CreateDatabaseAsync(), Ready, services: s => s.AddSingleton<TimeProvider>(clock));
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
        await using var shop = await ShopHost.StartAsync(
            await server.CreateDatabaseAsync(), Ready, services: s => s.AddSingleton<TimeProvider>(clock));
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
    public async Task A_twin_is_known_when_its_day_had_no_partition_yet_and_when_it_has_got_one()
    {
        await using var shop = await ShopHost.StartAsync(await server.CreateDatabaseAsync(), Ready);
        var partitions = shop.Services.GetRequiredService<InboxPartitions>();
        var today = DateOnly.FromDateTime(TimeProvider.System.GetUtcNow().UtcDateTime);
        var day = today.AddDays(10);
        var (order, message) = (NewId.NextGuid(), NewId.NextGuid());
        using var twins = new CountOf("messaging.inbox.duplicates");

        await SendAsync();
        await Eventually.TrueAsync(async () => await shop.EffectsAsync(order) == 1, "the message");
        (await shop.CountAsync($"messaging.inbox_default WHERE message_id = '{message}'")).ShouldBe(1);
        await SendAsync();
        await Eventually.TrueAsync(() => twins.Value == 1, "a twin to be dropped");
        await partitions.MaintainAsync(today.AddDays(5), default);
        (await shop.CountAsync($"messaging.inbox_{day:yyyyMMdd} WHERE message_id = '{message}'")).ShouldBe(1);
        await SendAsync();
        await Eventually.TrueAsync(() => twins.Value == 2, "another to be dropped");

        (await shop.EffectsAsync(order)).ShouldBe(1);

        Task SendAsync() => shop.Bus.Publish(new OrderReady(order), x =>
        {
            x.MessageId = message;
            x.Headers.Set(InboxDay.Header, InboxDay.Format(day.ToDateTime(default)));
        });
    }

    [Fact]
    public async Task Several_nodes_may_keep_the_partitions_at_once_while_messages_come()
    {
        var database = await server.CreateDatabaseAsync();
        var hosts = await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => ShopHost.StartAsync(database, Ready)));
        var today = DateOnly.FromDateTime(TimeProvider.System.GetUtcNow().UtcDateTime);
        var order = NewId.NextGuid();
        const int Days = 12;

        for (var day = 0; day <= Days; day++)
        {
            var later = today.AddDays(day);
            await Task.WhenAll([
                .. hosts.Select(host => host.Services.GetRequiredService<InboxPartitions>().MaintainAsync(later, default)),
                hosts[day % 3].Bus.Publish(new OrderReady(order), x => x.Headers.Set(InboxDay.Header, InboxDay.Format(later.AddDays(InboxPartitions.DaysAhead).ToDateTime(default)))),
            ]);
        }

        await Eventually.TrueAsync(async () => await hosts[0].EffectsAsync(order) == Days + 1, "every message");
        // Seven days back, today, and those ahead; and the default one.
        (await PartitionsAsync(hosts[0])).ShouldBe(7 + InboxPartitions.DaysAhead + 1);
        foreach (var host in hosts)
        {
            host.Logs.At(LogLevel.Error).ShouldBeEmpty();
            await host.DisposeAsync();
        }
    }

    [Fact]
    public async Task Old_days_are_dropped_and_coming_ones_prepared()
    {
        await using var shop = await ShopHost.StartAsync(await server.CreateDatabaseAsync());
        var partitions = shop.Services.GetRequiredService<InboxPartitions>();
        var today = DateOnly.FromDateTime(TimeProvider.System.GetUtcNow().UtcDateTime);
        await Eventually.TrueAsync(async () => await PartitionsAsync(shop) == InboxPartitions.DaysAhead + 1, "the first partitions");
        var early = today.AddDays(12);
        await shop.ExecuteAsync(
            $"INSERT INTO messaging.inbox SELECT d, gen_random_uuid(), gen_random_uuid() FROM unnest(ARRAY['{today:yyyy-MM-dd}', '{early:yyyy-MM-dd}', '2001-01-01']::date[]) d");

        await partitions.MaintainAsync(today.AddDays(7), default);
        (await shop.CountAsync($"messaging.inbox WHERE day = '{today:yyyy-MM-dd}'")).ShouldBe(1);
        (await shop.CountAsync($"messaging.inbox_{early:yyyyMMdd}")).ShouldBe(1);
        (await shop.CountAsync("messaging.inbox WHERE day < '2002-01-01'")).ShouldBe(0);

        await partitions.MaintainAsync(today.AddDays(8), default);
        (await shop.CountAsync($"messaging.inbox WHERE day = '{today:yyyy-MM-dd}'")).ShouldBe(0);
        (await PartitionsAsync(shop)).ShouldBe(7 + InboxPartitions.DaysAhead + 1);
        await partitions.MaintainAsync(today.AddDays(8), default);
    }

    [Fact]
    public async Task A_day_that_gets_its_partition_while_a_message_of_it_arrives_loses_none()
    {
        await using var shop = await ShopHost.StartAsync(await server.CreateDatabaseAsync(), Packing);
        var order = NewId.NextGuid();
        var day = DateOnly.FromDateTime(TimeProvider.System.GetUtcNow().UtcDateTime.AddDays(20));
        await using (var connection = await shop.DataSource.OpenConnectionAsync())
        await using (var transaction = await connection.BeginTransactionAsync())
        {
            await using var attach = new Npgsql.NpgsqlCommand(
                $"""
                CREATE TABLE messaging.inbox_{day:yyyyMMdd} (LIKE messaging.inbox INCLUDING ALL);
                ALTER TABLE messaging.inbox ATTACH PARTITION messaging.inbox_{day:yyyyMMdd} FOR VALUES FROM ('{day:yyyy-MM-dd}') TO ('{day.AddDays(1):yyyy-MM-dd}');
                """, connection, transaction);
            await attach.ExecuteNonQueryAsync();
            await shop.Bus.Publish(new PackOrder(order), x => x.Headers.Set(InboxDay.Header, InboxDay.Format(day.ToDateTime(default))));
            await Eventually.TrueAsync(async () => await shop.CountAsync("pg_locks WHERE NOT granted") > 0, "the inbox row to wait");
            await transaction.CommitAsync();
        }

        await Eventually.TrueAsync(async () => await shop.EffectsAsync(order) == 1, "the message");
        (await shop.CountAsync($"messaging.inbox_{day:yyyyMMdd}")).ShouldBe(1);
        (await shop.CountAsync("messaging.dead")).ShouldBe(0);
    }

    static Task<long> PartitionsAsync(ShopHost shop) => shop.CountAsync("pg_inherits WHERE inhparent = 'messaging.inbox'::regclass");

    [Fact]
    public async Task Slow_work_is_done_again_for_a_twin_but_its_transaction_runs_once()
    {
        await using var shop = await ShopHost.StartAsync(await server.CreateDatabaseAsync(), bus =>
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
        await using var shop = await ShopHost.StartAsync(await server.CreateDatabaseAsync(), bus =>
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
        await using var shop = await ShopHost.StartAsync(await server.CreateDatabaseAsync(), bus =>
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
}

[Trait("Category", "Server")]
public sealed class BatchRetryTests(PostgresServer server) : IClassFixture<PostgresServer>
{
    [Fact]
    public async Task A_batch_whose_connection_breaks_is_done_again_as_a_whole()
    {
        await using var shop = await ShopHost.StartAsync(await server.CreateDatabaseAsync(), bus =>
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

public sealed class SlowWork
{
    public System.Collections.Concurrent.ConcurrentQueue<bool> Results { get; } = new();

    public bool FailOnce { get; set; }

    public async Task BreakConnectionOnceAsync(OrderContext db)
    {
        if (!FailOnce)
            return;
        FailOnce = false;
        await db.SaveChangesAsync();
        await db.Database.ExecuteSqlRawAsync("SELECT pg_terminate_backend(pg_backend_pid())");
    }
}

public sealed class SlowConsumer(ConsumeTransaction<OrderContext> transaction, SlowWork work) : IConsumer<PackOrder>
{
    public async Task Consume(ConsumeContext<PackOrder> context) => work.Results.Enqueue(await transaction.RunAsync(context, async (db, outbox, cancellationToken) =>
    {
        db.Record(context.Message.OrderId, "slow");
        await outbox.Publish(new OrderReady(context.Message.OrderId), cancellationToken);
        await work.BreakConnectionOnceAsync(db);
    }));
}

public sealed class SlowDefinition : ConsumerDefinition<SlowConsumer>
{
    public SlowDefinition() => EndpointName = "slow";

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator, IConsumerConfigurator<SlowConsumer> consumerConfigurator, IRegistrationContext context) =>
        endpointConfigurator.UseTransientRetry();
}

public sealed class BatchConsumer(OrderContext db, SlowWork work) : IConsumer<Batch<PackOrder>>
{
    public async Task Consume(ConsumeContext<Batch<PackOrder>> context)
    {
        db.Record(context.Message[0].Message.OrderId, $"batch of {context.Message.Length}");
        await context.Publish(new OrderReady(context.Message[0].Message.OrderId));
        await work.BreakConnectionOnceAsync(db);
    }
}

public sealed class BatchDefinition : ConsumerDefinition<BatchConsumer>
{
    public const int Size = 4;

    public BatchDefinition() => EndpointName = "batches";

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator, IConsumerConfigurator<BatchConsumer> consumerConfigurator, IRegistrationContext context)
    {
        endpointConfigurator.PrefetchCount = 16;
        endpointConfigurator.ConcurrentMessageLimit = 16;
        endpointConfigurator.UsePostgresOutbox<OrderContext>(context, o => o.WithoutInbox = true);
        consumerConfigurator.Options<BatchOptions>(o => o.SetMessageLimit(Size).SetTimeLimit(TimeSpan.FromSeconds(20)));
    }
}
