using System.Collections.Concurrent;
using MassTransit;
using Messaging;
using Messaging.Postgres;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Standalone;
using Support;

namespace Benchmarks;

/// <summary>
/// How late a scheduled message is at its consumer, at a steady rate: once with all of them made before the first is due, on one node and
/// on two, and once each made two seconds before it is due; on the in-memory bus and on RabbitMQ. PostgreSQL is as durable as delivered.
/// </summary>
static class SchedulesBenchmark
{
    const int Chunk = 100;
    static readonly TimeSpan Ahead = TimeSpan.FromSeconds(2);

    internal static async Task RunAsync(BenchmarkOptions options)
    {
        Directory.CreateDirectory(options.Folder);
        using var folder = new TestFolder(options.Folder);
        await using var postgres = await EmbeddedPostgres.StartAsync(new EmbeddedPostgresOptions { DataFolder = folder["data"] }, NullLogger.Instance);
        await using var rabbitMq = await RabbitMqProcess.StartNewAsync();
        var inMemory = new Dictionary<string, string?>();
        Console.WriteLine($"{options.Rate:N0} schedules due a second for {options.Seconds} s; lateness at the consumer");
        Console.WriteLine();
        Console.WriteLine("| bus | schedules | nodes | messages | twins | p50 ms | p99 ms | most ms |");
        Console.WriteLine("|---|---|---|---|---|---|---|---|");
        foreach (var bus in new[] { TransportKind.InMemory, TransportKind.RabbitMq })
        {
            foreach (var (nodes, madeBefore, measured) in new[] { (1, true, false), (1, true, true), (1, false, true), (2, true, true) })
            {
                var settings = bus == TransportKind.RabbitMq ? rabbitMq.Settings(await rabbitMq.CreateVirtualHostAsync()) : inMemory;
                var late = await MeasureAsync(postgres.ConnectionString, settings, measured ? options : options with { Seconds = 5 }, nodes, madeBefore);
                if (measured)
                    Console.WriteLine($"| {bus} | {(madeBefore ? "all made before" : $"each made {Ahead.TotalSeconds:0} s before")} | {nodes} | {late}");
            }
        }

        Console.WriteLine();
    }

    /// <returns>The figures, as the rest of a row.</returns>
    static async Task<string> MeasureAsync(
        string connection, IReadOnlyDictionary<string, string?> settings, BenchmarkOptions options, int nodes, bool madeBefore)
    {
        var arrivals = new Arrivals();
        var hosts = new List<IHost>();
        try
        {
            for (var i = 0; i < nodes; i++)
                hosts.Add(await StartAsync(connection, settings, arrivals));
            var count = options.Rate * options.Seconds;
            // A guess of how long the making takes.
            var start = TimeProvider.System.GetUtcNow().UtcDateTime + Ahead + (madeBefore ? TimeSpan.FromSeconds(count / 500.0) : TimeSpan.Zero);
            for (var i = 0; i < count; i += Chunk)
            {
                var due = start + TimeSpan.FromSeconds((double)i / options.Rate);
                if (!madeBefore && due - Ahead - TimeProvider.System.GetUtcNow().UtcDateTime is { Ticks: > 0 } early)
                    await Task.Delay(early, TimeProvider.System);
                await ScheduleAsync(hosts[i / Chunk % nodes], Enumerable.Range(0, Chunk).Select(n => due + TimeSpan.FromSeconds((double)n / options.Rate)));
            }

            if (madeBefore && TimeProvider.System.GetUtcNow().UtcDateTime > start)
                throw new InvalidOperationException("Making the schedules took until the first was due: the machine is too busy to measure.");
            await Eventually.TrueAsync(() => arrivals.Lateness.Count >= count, "all schedules", TimeSpan.FromMinutes(10));
            var late = arrivals.Lateness.Values.Select(l => l.TotalMilliseconds).ToList();
            return $"{late.Count:N0} | {arrivals.Twins:N0} | {Machine.Median(late):0} | {Machine.Percentile(late, 0.99):0} | {late.Max():0} |";
        }
        finally
        {
            foreach (var host in hosts)
            {
                await host.StopAsync();
                host.Dispose();
            }
        }
    }

    static async Task<IHost> StartAsync(string connection, IReadOnlyDictionary<string, string?> settings, Arrivals arrivals)
    {
        var dataSource = NpgsqlDataSource.Create(connection);
        await using (var create = dataSource.CreateCommand(MessagingSchema.Sql))
            await create.ExecuteNonQueryAsync();
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Configuration.AddInMemoryCollection(settings);
        builder.Logging.AddSimpleConsole().SetMinimumLevel(LogLevel.Warning);
        builder.Services.AddSingleton(_ => dataSource).AddSingleton(arrivals);
        builder.Services.AddDbContext<ScheduleContext>(db => db.UseNpgsql(dataSource));
        builder.AddMessaging(bus =>
        {
            bus.AddPostgresMessaging<ScheduleContext>();
            bus.AddConsumer<DueConsumer>();
        });
        var host = builder.Build();
        await host.StartAsync();
        await host.Services.GetRequiredService<IBusControl>().WaitForHealthStatus(BusHealthStatus.Healthy, TimeSpan.FromSeconds(60));
        return host;
    }

    static async Task ScheduleAsync(IHost host, IEnumerable<DateTime> dues)
    {
        await using var scope = host.Services.CreateAsyncScope();
        var scheduler = scope.ServiceProvider.GetRequiredService<IMessageScheduler>();
        foreach (var due in dues)
            await scheduler.SchedulePublish(due, new Due(due));
        await scope.ServiceProvider.GetRequiredService<ScheduleContext>().SaveChangesAsync();
    }

    sealed class Arrivals
    {
        int _twins;

        public ConcurrentDictionary<Guid, TimeSpan> Lateness { get; } = [];

        public int Twins => _twins;

        public void Add(Guid message, TimeSpan lateness)
        {
            if (!Lateness.TryAdd(message, lateness))
                Interlocked.Increment(ref _twins);
        }
    }

    sealed class DueConsumer(Arrivals arrivals) : IConsumer<Due>
    {
        public Task Consume(ConsumeContext<Due> context)
        {
            arrivals.Add(context.MessageId!.Value, TimeProvider.System.GetUtcNow().UtcDateTime - context.Message.At);
            return Task.CompletedTask;
        }
    }

    sealed class ScheduleContext(DbContextOptions<ScheduleContext> options) : DbContext(options)
    {
        protected override void OnModelCreating(ModelBuilder modelBuilder) => modelBuilder.MapOutbox();
    }
}

public sealed record Due(DateTime At);
