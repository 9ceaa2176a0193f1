using System.Diagnostics;
using MassTransit;
using MassTransit.Saga;
using Messaging;
using Messaging.Postgres;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Npgsql;

namespace Benchmarks.Orders;

/// <summary>The order saga on RabbitMQ with quorum queues: durable, or with the repository in memory and no database at all.</summary>
sealed class SagaHost : IAsyncDisposable
{
    public static readonly Uri ProcessQueue = QueueAddress.Of("process");

    const int Prefetch = 64;
    const int Concurrency = 32;

    readonly IHost _host;
    readonly NpgsqlDataSource? _database;
    readonly Completions _completions;
    readonly IBus _bus;

    SagaHost(IHost host, NpgsqlDataSource? database) =>
        (_host, _database, _completions, _bus) = (host, database, host.Services.GetRequiredService<Completions>(), host.Services.GetRequiredService<IBus>());

    public static async Task<SagaHost> StartAsync(IReadOnlyDictionary<string, string?> rabbitMq, string? database)
    {
        var builder = Host.CreateApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        builder.Configuration.AddInMemoryCollection(rabbitMq);
        builder.Services.AddSingleton<Completions>();
        NpgsqlDataSource? dataSource = null;
        if (database is not null)
        {
            dataSource = NpgsqlDataSource.Create(database);
            builder.Services.AddSingleton(dataSource);
            builder.Services.AddDbContextPool<OrderContext>(db => db.UseNpgsql(dataSource));
        }

        builder.AddMessaging(bus =>
        {
            if (dataSource is not null)
                bus.AddPostgresMessaging<OrderContext>();
            bus.AddConfigureEndpointsCallback((context, name, endpoint) =>
            {
                endpoint.PrefetchCount = Prefetch;
                endpoint.ConcurrentMessageLimit = Concurrency;
                endpoint.UseFilter(context.GetRequiredService<Completions>());
                if (dataSource is not null && name is "order" or "process")
                    endpoint.UsePostgresOutbox<OrderContext>(context);
            });
            var saga = bus.AddSagaStateMachine<OrderStateMachine, OrderState>().Endpoint(e => e.Name = "order");
            if (dataSource is null)
                saga.InMemoryRepository();
            bus.AddConsumer<ProcessOrderConsumer>().Endpoint(e => e.Name = "process");
        });
        var host = builder.Build();
        await host.StartAsync();
        var sagas = new SagaHost(host, dataSource);
        await host.Services.GetRequiredService<IBusControl>().WaitForHealthStatus(BusHealthStatus.Healthy, TimeSpan.FromSeconds(60));
        return sagas;
    }

    /// <summary>As a request does: its own row and a message.</summary>
    async Task SubmitAsync(Guid id)
    {
        if (_database is null)
        {
            await _bus.Publish(new OrderSubmitted(id));
            return;
        }

        await using var scope = _host.Services.CreateAsyncScope();
        var db = scope.ServiceProvider.GetRequiredService<OrderContext>();
        db.Orders.Add(new Order { Id = id, Customer = "c", Total = 1, Created = TimeProvider.System.GetUtcNow().UtcDateTime });
        await scope.ServiceProvider.GetRequiredService<IPublishEndpoint>().Publish(new OrderSubmitted(id));
        await db.SaveChangesAsync();
    }

    /// <summary>Sagas a second from the first submit until the last is completed.</summary>
    public async Task<double> RunAsync(int count, int submitters)
    {
        var started = Stopwatch.GetTimestamp();
        var done = _completions.Expect(count);
        var left = count;
        await Task.WhenAll(Enumerable.Range(0, submitters).Select(async _ =>
        {
            while (Interlocked.Decrement(ref left) >= 0)
                await SubmitAsync(NewId.NextGuid());
        }));
        await done.WaitAsync(TimeSpan.FromMinutes(2));
        return count / Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    /// <summary>Milliseconds of one saga after the other, each alone.</summary>
    public async Task<double[]> LatenciesAsync(int count)
    {
        var milliseconds = new double[count];
        for (var i = 0; i < count; i++)
        {
            var started = Stopwatch.GetTimestamp();
            var done = _completions.Expect(1);
            await SubmitAsync(NewId.NextGuid());
            await done.WaitAsync(TimeSpan.FromSeconds(30));
            milliseconds[i] = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
        }

        return milliseconds;
    }

    /// <summary>Throws unless all these sagas have been through each of their transitions once.</summary>
    public async Task CheckAsync(int expected)
    {
        await using var scope = _host.Services.CreateAsyncScope();
        var sagas = scope.ServiceProvider.GetRequiredService<IQuerySagaRepository<OrderState>>();
        var right = (await sagas.Find(new SagaQuery<OrderState>(o => o.CurrentState == "Completed" && o.Transitions == 3))).Count();
        var all = (await sagas.Find(new SagaQuery<OrderState>(_ => true))).Count();
        if (right != expected || all != expected)
            throw new InvalidOperationException($"{expected} sagas were begun; {all} are there, {right} of them completed by three transitions.");
    }

    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync();
        _host.Dispose();
        if (_database is not null)
            await _database.DisposeAsync();
    }
}

/// <summary>Sees a saga's last message after everything that belongs to it is committed.</summary>
sealed class Completions : IFilter<ConsumeContext>
{
    TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    int _left;

    public Task Expect(int count)
    {
        _done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _left = count;
        return _done.Task;
    }

    public async Task Send(ConsumeContext context, IPipe<ConsumeContext> next)
    {
        await next.Send(context);
        if (context.TryGetMessage<OrderReady>(out _) && Interlocked.Decrement(ref _left) == 0)
            _done.SetResult();
    }

    public void Probe(ProbeContext context) => context.CreateFilterScope("completions");
}
