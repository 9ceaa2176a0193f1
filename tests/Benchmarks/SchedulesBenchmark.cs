using System.Collections.Concurrent;
using MassTransit;
using Messaging;
using Messaging.Postgres;
using Microsoft.EntityFrameworkCore;
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
/// on two, and once each made two seconds before it is due. PostgreSQL is as durable as delivered.
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
        Console.WriteLine($"{options.Rate:N0} schedules due a second for {options.Seconds} s, in-memory bus; lateness at the consumer");
        Console.WriteLine();
        Console.WriteLine("| schedules | nodes | messages | twins | p50 ms | p99 ms | most ms |");
        Console.WriteLine("|---|---|---|---|---|---|---|");
        await MeasureAsync(postgres.ConnectionString, options with { Seconds = 5 }, nodes: 1, madeBefore: true, print: false);
        await MeasureAsync(postgres.ConnectionString, options, nodes: 1, madeBefore: true);
        await MeasureAsync(postgres.ConnectionString, options, nodes: 1, madeBefore: false);
        await MeasureAsync(postgres.ConnectionString, options, nodes: 2, madeBefore: true);
        Console.WriteLine();
    }

    static async Task MeasureAsync(string connection, BenchmarkOptions options, int nodes, bool madeBefore, bool print = true)
    {
        var arrivals = new Arrivals();
        var hosts = new List<IHost>();
        try
        {
            for (var i = 0; i < nodes; i++)
                hosts.Add(await StartAsync(connection, arrivals));
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
            if (!print)
                return;
            var late = arrivals.Lateness.Values.Select(l => l.TotalMilliseconds).ToList();
            Console.WriteLine(
                $"| {(madeBefore ? "all made before" : $"each made {Ahead.TotalSeconds:0} s before")} | {nodes} | {late.Count:N0} | {arrivals.Twins:N0} "
                + $"| {Machine.Median(late):0} | {Machine.Percentile(late, 0.99):0} | {late.Max():0} |");
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

    static async Task<IHost> StartAsync(string connection, Arrivals arrivals)
    {
        var dataSource = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(connection) { NoResetOnClose = true, MaxAutoPrepare = 50, AutoPrepareMinUsages = 2 });
        await using (var create = dataSource.CreateCommand(MessagingSchema.Sql))
            await create.ExecuteNonQueryAsync();
        var builder = Host.CreateEmptyApplicationBuilder(null);
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
