using System.Data.Common;
using MassTransit;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;
using Support;

namespace Messaging.Postgres.Tests;

[Trait("Category", "Server")]
public sealed class GroupCommitTests(PostgresServer server) : IClassFixture<PostgresServer>
{
    const int Crowd = 12;

    [Fact]
    public async Task Sagas_that_wait_share_a_transaction_and_its_statements()
    {
        await using var shop = await ShopHost.StartAsync(await server.CreateDatabaseAsync());
        await using var queue = await BusySagaAsync(shop);
        Guid[] ids = [.. Ids(Crowd)];
        using var undone = new CountOf("messaging.group.undone");

        await queue.AddAsync(ids.Select(id => new SubmitOrder(id)));
        await queue.FreeAsync();

        foreach (var id in ids)
            await shop.OrderIsAsync(id, o => o is { CurrentState: "Packing", Transitions: 1 }, "the order");
        // The last to come may have missed the others.
        (await TransactionsAsync(shop, "orders", "CorrelationId", ids)).ShouldBeLessThanOrEqualTo(3);
        await shop.OutboxIsEmptyAsync();
        undone.Value.ShouldBe(0);
        shop.Logs.At(LogLevel.Warning).ShouldBeEmpty();
        shop.Logs.At(LogLevel.Error).ShouldBeEmpty();
    }

    [Fact]
    public async Task Messages_of_one_saga_in_one_transaction_see_each_others_changes()
    {
        await using var shop = await ShopHost.StartAsync(await server.CreateDatabaseAsync());
        var there = NewId.NextGuid();
        await shop.PublishAsync(new SubmitOrder(there, "A"));
        await shop.OrderIsAsync(there, o => o.Transitions == 1, "the older order");
        await using var queue = await BusySagaAsync(shop);
        var made = NewId.NextGuid();

        await queue.AddAsync(Enumerable.Range(0, 3).Select(_ => new SubmitOrder(made)));
        await queue.AddAsync([new SubmitOrder(there), new RenameOrder("A", "B"), new SubmitOrder(there), new SubmitOrder(NewId.NextGuid())]);
        await queue.FreeAsync();

        await shop.OrderIsAsync(made, o => o.Transitions == 201, "each message of the new order to count");
        await shop.OrderIsAsync(there, o => o is { Transitions: 201, Reference: "B" }, "each message of the older order to count");
        await shop.OutboxIsEmptyAsync();
        (await shop.CountAsync("messaging.dead")).ShouldBe(0);
        shop.Logs.At(LogLevel.Error).ShouldBeEmpty();
    }

    [Fact]
    public async Task One_that_fails_is_dead_with_its_error_and_takes_no_other_with_it()
    {
        await using var shop = await CrowdAsync();
        Guid[] ids = [.. Ids(Crowd)];
        var work = shop.Services.GetRequiredService<CrowdWork>();
        work.Bad = ids[5];
        using var undone = new CountOf("messaging.group.undone");

        await work.FillAsync(shop, ids);
        work.Open();

        foreach (var id in ids.Where(id => id != work.Bad))
            await Eventually.TrueAsync(async () => await shop.EffectsAsync(id) == 2, "the effect and its message's");
        await Eventually.TrueAsync(async () => await shop.CountAsync("messaging.dead WHERE queue = 'crowd' AND error LIKE '%this one is bad%'") == 1, "the dead letter");
        (await shop.CountAsync("messaging.dead")).ShouldBe(1);
        (await shop.EffectsAsync(work.Bad)).ShouldBe(0);
        (await shop.CountAsync("shop.effects")).ShouldBe(2 * Crowd);
        undone.Value.ShouldBeGreaterThan(0);
    }

    [Fact]
    public async Task Twins_in_one_transaction_have_one_effect()
    {
        await using var shop = await CrowdAsync();
        Guid[] ids = [.. Ids(4)];
        var work = shop.Services.GetRequiredService<CrowdWork>();
        using var twins = new CountOf("messaging.inbox.duplicates");

        await work.FillAsync(shop, [.. ids, .. ids, .. ids]);
        work.Open();

        await Eventually.TrueAsync(() => twins.Value >= 8, "the twins to be dropped");
        foreach (var id in ids)
            await Eventually.TrueAsync(async () => await shop.EffectsAsync(id) == 2, "the effect and its message's");
        await shop.OutboxIsEmptyAsync();
        (await shop.CountAsync("shop.effects")).ShouldBe(2 * (ids.Length + 1));
        twins.Value.ShouldBe(8);
    }

    [Fact]
    public async Task Nothing_is_sent_before_all_of_the_transaction_is_committed()
    {
        await using var shop = await CrowdAsync();
        Guid[] ids = [.. Ids(Crowd)];
        var work = shop.Services.GetRequiredService<CrowdWork>();
        work.Last = ids[^1];

        await work.FillAsync(shop, ids);
        work.Open();
        await work.LastEntered.Task.WaitAsync(TimeSpan.FromSeconds(30));
        var sharing = await shop.CountAsync($"shop.effects WHERE \"OrderId\" IN ({In(ids)})");
        work.LastOpened.SetResult();

        sharing.ShouldBe(0);
        foreach (var id in ids)
            await Eventually.TrueAsync(async () => await shop.EffectsAsync(id) == 2, "the effect and its message's");
        (await TransactionsAsync(shop, "effects", "OrderId", ids, "\"Name\" = 'crowd'")).ShouldBeLessThanOrEqualTo(3);
    }

    [Fact]
    public async Task A_connection_that_breaks_under_a_shared_transaction_loses_nothing_and_doubles_nothing()
    {
        await using var shop = await CrowdAsync();
        Guid[] ids = [.. Ids(Crowd)];
        var work = shop.Services.GetRequiredService<CrowdWork>();
        work.Breaks = ids[7];

        await work.FillAsync(shop, ids);
        work.Open();

        foreach (var id in ids)
            await Eventually.TrueAsync(async () => await shop.EffectsAsync(id) == 2, "the effect and its message's");
        await shop.OutboxIsEmptyAsync();
        (await shop.CountAsync("shop.effects")).ShouldBe(2 * (Crowd + 1));
        (await shop.CountAsync("messaging.dead")).ShouldBe(0);
    }

    [Fact]
    public async Task A_commit_whose_answer_is_lost_loses_nothing_and_doubles_nothing()
    {
        var lost = new LostAnswer();
        await using var shop = await CrowdAsync(services => services.ConfigureDbContext<OrderContext>(db => db.AddInterceptors(lost)));
        Guid[] ids = [.. Ids(Crowd)];
        var work = shop.Services.GetRequiredService<CrowdWork>();

        await work.FillAsync(shop, ids);
        lost.NotOf = work.First;
        work.Open();

        foreach (var id in ids)
            await Eventually.TrueAsync(async () => await shop.EffectsAsync(id) >= 1, "the effect");
        lost.IsLost.ShouldBeTrue();
        await shop.LapseLeasesAsync();
        foreach (var id in ids)
            await Eventually.TrueAsync(async () => await shop.EffectsAsync(id) == 2, "its message's effect");
        await shop.OutboxIsEmptyAsync();
        (await shop.CountAsync("shop.effects")).ShouldBe(2 * (Crowd + 1));
        (await shop.CountAsync("messaging.dead")).ShouldBe(0);
    }

    [Fact]
    public async Task A_saga_locked_elsewhere_does_not_keep_the_others()
    {
        await using var shop = await ShopHost.StartAsync(await server.CreateDatabaseAsync());
        var held = NewId.NextGuid();
        await shop.PublishAsync(new SubmitOrder(held));
        await shop.OrderIsAsync(held, o => o.Transitions == 1, "the order");
        await using var other = await RowLock.TakeAsync(shop, held);
        await using var queue = await BusySagaAsync(shop);
        Guid[] ids = [.. Ids(Crowd - 1)];

        await queue.AddAsync([new SubmitOrder(held), .. ids.Select(id => new SubmitOrder(id))]);
        await queue.FreeAsync();

        foreach (var id in ids)
            await shop.OrderIsAsync(id, o => o.Transitions == 1, "the order");
        (await shop.OrderAsync(held))!.Transitions.ShouldBe(1);
        await other.ReleaseAsync();
        await shop.OrderIsAsync(held, o => o.Transitions == 101, "the order that was locked");
        (await shop.CountAsync("messaging.dead")).ShouldBe(0);
    }

    [Fact]
    public async Task A_host_that_stops_leaves_nobody_waiting()
    {
        await using var shop = await CrowdAsync(services => services.PostConfigure<MassTransitHostOptions>(o => o.ConsumerStopTimeout = TimeSpan.FromMilliseconds(200)));
        Guid[] ids = [.. Ids(Crowd)];
        var work = shop.Services.GetRequiredService<CrowdWork>();
        await work.FillAsync(shop, ids);

        await shop.StopAsync().WaitAsync(TimeSpan.FromSeconds(30));

        (await shop.CountAsync("shop.effects") + await shop.CountAsync("messaging.outbox") + await shop.CountAsync("messaging.dead")).ShouldBe(0);
        shop.Logs.At(LogLevel.Error).ShouldNotContain(l => l.Contains("kept as a dead letter"));
    }

    [Fact]
    public async Task An_endpoint_that_wants_it_goes_one_by_one()
    {
        await using var shop = await CrowdAsync(oneByOne: true);
        Guid[] ids = [.. Ids(Crowd)];
        var work = shop.Services.GetRequiredService<CrowdWork>();

        await work.FillAsync(shop, ids);
        work.Open();

        foreach (var id in ids)
            await Eventually.TrueAsync(async () => await shop.EffectsAsync(id) == 2, "the effect and its message's");
        (await TransactionsAsync(shop, "effects", "OrderId", ids, "\"Name\" = 'crowd'")).ShouldBe(Crowd);
    }

    static IEnumerable<Guid> Ids(int count) => Enumerable.Range(0, count).Select(_ => NewId.NextGuid());

    static string In(IEnumerable<Guid> ids) => string.Join(", ", ids.Select(id => $"'{id}'"));

    static Task<long> TransactionsAsync(ShopHost shop, string table, string key, IEnumerable<Guid> ids, string condition = "true") =>
        shop.CountAsync($"(SELECT DISTINCT xmin::text FROM shop.{table} WHERE \"{key}\" IN ({In(ids)}) AND {condition}) AS transactions");

    async Task<ShopHost> CrowdAsync(Action<IServiceCollection>? services = null, bool oneByOne = false) =>
        await ShopHost.StartAsync(await server.CreateDatabaseAsync(), bus =>
        {
            bus.AddConsumer<CrowdConsumer, CrowdDefinition>();
            bus.AddConsumer<ReadyConsumer, ReadyDefinition>();
        }, services: s =>
        {
            s.AddSingleton(new CrowdWork { OneByOne = oneByOne });
            services?.Invoke(s);
        });

    static async Task<BusySaga> BusySagaAsync(ShopHost shop)
    {
        var id = NewId.NextGuid();
        await shop.PublishAsync(new SubmitOrder(id));
        await shop.OrderIsAsync(id, o => o.Transitions == 1, "the order");
        var busy = new BusySaga(shop, await RowLock.TakeAsync(shop, id), new Arrivals());
        shop.Bus.ConnectReceiveObserver(busy.Arrivals);
        await shop.Bus.Publish(new SubmitOrder(id));
        await Eventually.TrueAsync(async () => await shop.CountAsync("pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()") > 0, "the saga to be busy");
        return busy;
    }

    /// <summary>A message of it waits for its row, and those that come meanwhile for that message.</summary>
    sealed class BusySaga(ShopHost shop, RowLock row, Arrivals arrivals) : IAsyncDisposable
    {
        public Arrivals Arrivals => arrivals;

        public async Task AddAsync(IEnumerable<object> messages)
        {
            var expected = arrivals.Count;
            foreach (var message in messages)
            {
                await shop.Bus.Publish(message);
                expected++;
                await Eventually.TrueAsync(() => arrivals.Count >= expected, "the message to arrive");
            }
        }

        public Task FreeAsync() => row.ReleaseAsync();

        public ValueTask DisposeAsync() => row.DisposeAsync();
    }
}

/// <summary>Another node's transaction.</summary>
sealed class RowLock(NpgsqlConnection connection, NpgsqlTransaction transaction) : IAsyncDisposable
{
    public static async Task<RowLock> TakeAsync(ShopHost shop, Guid order)
    {
        var connection = await shop.DataSource.OpenConnectionAsync();
        var transaction = await connection.BeginTransactionAsync();
        await using var command = new NpgsqlCommand($"SELECT 1 FROM shop.orders WHERE \"CorrelationId\" = '{order}' FOR UPDATE", connection, transaction);
        await command.ExecuteNonQueryAsync();
        return new RowLock(connection, transaction);
    }

    public Task ReleaseAsync() => transaction.RollbackAsync();

    public async ValueTask DisposeAsync()
    {
        await transaction.DisposeAsync();
        await connection.DisposeAsync();
    }
}

sealed class Arrivals : IReceiveObserver
{
    int _count;

    public int Count => Volatile.Read(ref _count);

    public Task PreReceive(ReceiveContext context)
    {
        Interlocked.Increment(ref _count);
        return Task.CompletedTask;
    }

    public Task PostReceive(ReceiveContext context) => Task.CompletedTask;

    public Task PostConsume<T>(ConsumeContext<T> context, TimeSpan duration, string consumerType)
        where T : class => Task.CompletedTask;

    public Task ConsumeFault<T>(ConsumeContext<T> context, TimeSpan duration, string consumerType, Exception exception)
        where T : class => Task.CompletedTask;

    public Task ReceiveFault(ReceiveContext context, Exception exception) => Task.CompletedTask;
}

public sealed class CrowdWork
{
    readonly TaskCompletionSource _entered = new(TaskCreationOptions.RunContinuationsAsynchronously);
    readonly TaskCompletionSource _opened = new(TaskCreationOptions.RunContinuationsAsynchronously);
    int _broken;

    public bool OneByOne { get; init; }

    public Guid First { get; } = NewId.NextGuid();

    public Guid Bad { get; set; }

    public Guid Breaks { get; set; }

    public Guid Last { get; set; }

    public TaskCompletionSource LastEntered { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public TaskCompletionSource LastOpened { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>One message is held in the consumer, the others arrive behind it.</summary>
    public async Task FillAsync(ShopHost shop, Guid[] orders)
    {
        var arrivals = new Arrivals();
        shop.Bus.ConnectReceiveObserver(arrivals);
        await shop.Bus.Publish(new PackOrder(First));
        await _entered.Task.WaitAsync(TimeSpan.FromSeconds(30));
        Dictionary<Guid, Guid> ids = [];
        foreach (var order in orders)
        {
            if (!ids.TryGetValue(order, out var message))
                ids[order] = message = NewId.NextGuid();
            await shop.Bus.Publish(new PackOrder(order), x => x.MessageId = message);
        }

        await Eventually.TrueAsync(() => arrivals.Count >= 1 + orders.Length, "the messages to arrive");
    }

    public void Open() => _opened.SetResult();

    public async Task DoAsync(Guid order, OrderContext db, CancellationToken cancellationToken)
    {
        if (order == First)
        {
            _entered.SetResult();
            await _opened.Task.WaitAsync(cancellationToken);
        }

        if (order == Last && LastEntered.TrySetResult())
            await LastOpened.Task.WaitAsync(cancellationToken);
        if (order == Bad)
            throw new InvalidOperationException("this one is bad");
        if (order == Breaks && Interlocked.Exchange(ref _broken, 1) == 0)
            await db.Database.ExecuteSqlRawAsync("SELECT pg_terminate_backend(pg_backend_pid())", cancellationToken);
    }
}

public sealed class CrowdConsumer(OrderContext db, CrowdWork work) : IConsumer<PackOrder>
{
    public async Task Consume(ConsumeContext<PackOrder> context)
    {
        db.Record(context.Message.OrderId, "crowd");
        await context.Publish(new OrderReady(context.Message.OrderId));
        await work.DoAsync(context.Message.OrderId, db, context.CancellationToken);
    }
}

public sealed class CrowdDefinition : ConsumerDefinition<CrowdConsumer>
{
    readonly CrowdWork _work;

    public CrowdDefinition(CrowdWork work)
    {
        _work = work;
        EndpointName = "crowd";
        ConcurrentMessageLimit = 32;
    }

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator, IConsumerConfigurator<CrowdConsumer> consumerConfigurator, IRegistrationContext context) =>
        endpointConfigurator.UsePostgresOutbox<OrderContext>(context, o => o.OneByOne = _work.OneByOne);
}

/// <summary>Commits the work of several, and then, once, says that it does not know.</summary>
sealed class LostAnswer : DbTransactionInterceptor
{
    int _lost;

    public Guid NotOf { get; set; }

    public bool IsLost => Volatile.Read(ref _lost) == 1;

    public override Task TransactionCommittedAsync(DbTransaction transaction, TransactionEndEventData eventData, CancellationToken cancellationToken = default) =>
        eventData.Context!.ChangeTracker.Entries<Effect>().Any(e => e.Entity.Name == "crowd" && e.Entity.OrderId != NotOf) && Interlocked.Exchange(ref _lost, 1) == 0
            ? throw new TimeoutException("no answer")
            : Task.CompletedTask;
}
