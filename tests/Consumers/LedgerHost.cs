using System.Collections.Concurrent;
using Consumers.BatchInference;
using Consumers.WorkLedger;
using Contracts;
using Contracts.BatchInference;
using Contracts.WorkLedger;
using MassTransit;
using Messaging;
using Messaging.Postgres;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using Sagas.BatchInference;
using Sagas.Persistence;
using Sagas.WorkLedger;
using Support;

namespace Consumers.Tests;

/// <summary>The ledger on a real PostgreSQL and the in-memory bus, without workers: tests play them.</summary>
sealed class LedgerHost : IAsyncDisposable
{
    readonly IHost _host;

    LedgerHost(IHost host) => _host = host;

    public IServiceProvider Services => _host.Services;

    public Facts Facts => Services.GetRequiredService<Facts>();

    public Dispatcher Dispatcher => Services.GetRequiredService<Dispatcher>();

    public Reaper Reaper => Services.GetRequiredService<Reaper>();

    public static async Task<LedgerHost> StartAsync(PostgresServer server, Dictionary<string, string?>? settings = null)
    {
        var connection = await server.CreateDatabaseAsync();
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Configuration.AddInMemoryCollection(settings ?? []);
        builder.Logging.SetMinimumLevel(LogLevel.Warning);
        builder.Services.AddSingleton(_ => NpgsqlDataSource.Create(connection));
        builder.Services.AddDbContext<PlatformDbContext>((s, o) => o.UseNpgsql(s.GetRequiredService<NpgsqlDataSource>()));
        builder.Services.AddSingleton<Facts>().AddSingleton<Told>();
        builder.Services.AddOptions<WorkLedgerOptions>().BindConfiguration(WorkLedgerOptions.Section);
        builder.Services.AddSingleton<LedgerSignal>().AddSingleton(TimeProvider.System).AddSingleton(BatchWork.WorkKind);
        builder.Services.AddScoped<UnitCommit>().AddScoped<UnitFailures>().AddScoped<UnitLeases>().AddScoped<PlanLedger>().AddScoped<LedgerRecovery>();
        builder.Services.AddSingleton<Dispatcher>().AddSingleton<Reaper>();
        builder.AddMessaging(bus =>
        {
            bus.AddPostgresMessaging<PlatformDbContext>();
            bus.AddWorkLedger();
            bus.AddConsumer<CommitShardsConsumer>().Endpoint(e => e.Name = "batch-shards-scored");
            bus.AddConsumer<ShardFailedConsumer>().Endpoint(e => e.Name = "batch-shards-failed");
            bus.AddConsumer<AnnounceJobConsumer>().Endpoint(e => e.Name = "batch-announce");
            bus.AddConsumer<OutputReader, PlainJsonReader<OutputReader>>();
            bus.AddConsumer<MetricsReader, PlainJsonReader<MetricsReader>>();
            bus.AddConsumer<FactConsumer>().Endpoint(e => e.Name = "facts");
            bus.AddConsumer<OrderConsumer>().Endpoint(e => e.Name = BatchQueues.Units);
        });
        var host = builder.Build();
        await using (var scope = host.Services.CreateAsyncScope())
            await scope.ServiceProvider.GetRequiredService<PlatformDbContext>().Database.MigrateAsync();
        await host.StartAsync();
        return new LedgerHost(host);
    }

    /// <summary>A job whose units are cut: <paramref name="shards"/> of <paramref name="rows"/> rows each.</summary>
    public async Task<Guid> PlanAsync(int shards, long rows = 10, double maxErrorRate = 0.01, string tenant = "local", int priority = 0)
    {
        var id = NewId.NextGuid();
        var spec = new BatchJobSpec(
            new InputSpec("file:///in.parquet", "parquet"), new ModelRef("m", new string('0', 64), "file:///m.onnx"),
            new ModelSignature([], [], [], null, false, true, new Dictionary<string, string>(), ""), new FeatureMapping([]), [],
            new OutputSpec("file:///out", "parquet"), null, 1e6, maxErrorRate, null, 3600, priority);
        await InScopeAsync(async (db, outbox, token) =>
        {
            db.WorkJobs.Open(id, tenant, BatchWork.Kind, WireJson.Write(spec), priority, maxErrorRate, null, DateTimeOffset.UnixEpoch);
            await db.SaveChangesAsync(token);
            await db.WorkJobs.Where(j => j.Id == id).ExecuteUpdateAsync(s => s.SetProperty(j => j.State, WorkJobState.Admitted), token);
            var range = new RowRange("file:///in.parquet", "in.parquet", 0, rows, 100, 0);
            await new PlanLedger(db).AddAsync(id, 0,
                new PlannedUnits([.. Enumerable.Range(0, shards).Select(i => (new BatchUnit(range with { FirstRow = i * rows }), rows))], [], 1, false), outbox, token);
        });
        return id;
    }

    public Task CommitAsync(params UnitResult[] results) => InScopeAsync((db, outbox, token, services) =>
        services.GetRequiredService<UnitCommit>().CommitAsync(results, outbox, token));

    public static UnitResult Scored(Guid job, int shard, long rows = 10, long quarantined = 0, int epoch = 0) =>
        new(job, epoch, shard, NewId.NextGuid(), "w", rows - quarantined, quarantined, WireJson.Write(new ShardResult(null, null)), TimeSpan.FromMilliseconds(5));

    public Task FailAsync(UnitFailure failure) => InScopeAsync((db, outbox, token, services) =>
        services.GetRequiredService<UnitFailures>().RecordAsync(failure, outbox, token));

    public Task<(string Found, int Epoch)?> StopAsync(Guid job) => InScopeAsync((db, _, token, _) =>
        db.EndWorkAsync(job, WorkJobState.Stopped, new Failure("cancelled", "test"), token));

    public Task HeartbeatAsync(Guid job, int shard, int attempt) => InScopeAsync((_, _, token, services) =>
        services.GetRequiredService<UnitLeases>().ExtendAsync([new UnitHeartbeat(job, 0, shard, attempt, NewId.NextGuid(), "w", 0)], token));

    public Task ExpireLeasesAsync() =>
        InScopeAsync((db, _, token) => db.Database.ExecuteSqlAsync($"UPDATE sagas.work_units SET lease_until = clock_timestamp() - interval '1 s' WHERE state IN (1, 2)", token));

    public Task AnnounceAsync(int slots) =>
        InScopeAsync((db, _, token) => db.Database.ExecuteSqlAsync(
            $"""
            INSERT INTO sagas.work_workers VALUES ('w', {slots}, ARRAY[]::text[], clock_timestamp())
            ON CONFLICT (worker) DO UPDATE SET slots = {slots}, seen_at = clock_timestamp()
            """, token));

    public async Task<int> RecoverAsync()
    {
        await using var scope = Services.CreateAsyncScope();
        return await scope.ServiceProvider.GetRequiredService<LedgerRecovery>().ReturnUnitsAsync(CancellationToken.None);
    }

    public Task<WorkJob> JobAsync(Guid id) => InScopeAsync((db, _, token, _) => db.WorkJobs.AsNoTracking().SingleAsync(j => j.Id == id, token));

    public Task<List<WorkUnit>> UnitsAsync(Guid id) =>
        InScopeAsync((db, _, token, _) => db.WorkUnits.AsNoTracking().Where(u => u.JobId == id).OrderBy(u => u.Unit).ToListAsync(token));

    /// <summary>input = scored + quarantined + skipped + open, and the counts are those of the units.</summary>
    public async Task ShouldAccountForEveryRowAsync(Guid id)
    {
        var job = await JobAsync(id);
        var units = await UnitsAsync(id);
        var open = units.Where(u => u.State is WorkUnitState.Pending or WorkUnitState.Dispatched or WorkUnitState.Running).Sum(u => u.Rows);
        (job.Scored + job.Quarantined + job.Skipped + open).ShouldBe(job.InputRows, $"{job.State} epoch {job.Epoch} scored {job.Scored} quarantined {job.Quarantined} skipped {job.Skipped}: {string.Join("; ", units.Select(u => $"{u.Unit} {u.State} {u.Rows} {u.Failures}"))}");
        job.Scored.ShouldBe(units.Sum(u => u.Scored));
        job.CommittedUnits.ShouldBe(units.Count(u => u.State == WorkUnitState.Committed));
        job.TotalUnits.ShouldBe(units.Count(u => u.State != WorkUnitState.Split));
    }

    public Task InScopeAsync(Func<PlatformDbContext, IPublishEndpoint, CancellationToken, Task> body) =>
        InScopeAsync(async (db, outbox, token, _) => { await body(db, outbox, token); return 0; });

    public Task InScopeAsync(Func<PlatformDbContext, IPublishEndpoint, CancellationToken, IServiceProvider, Task> body) =>
        InScopeAsync(async (db, outbox, token, services) => { await body(db, outbox, token, services); return 0; });

    public async Task<T> InScopeAsync<T>(Func<PlatformDbContext, IPublishEndpoint, CancellationToken, IServiceProvider, Task<T>> body)
    {
        await using var scope = Services.CreateAsyncScope();
        var db = scope.ServiceProvider.GetRequiredService<PlatformDbContext>();
        await using var transaction = await db.Database.BeginTransactionAsync();
        var result = await body(db, scope.ServiceProvider.GetRequiredService<IPublishEndpoint>(), CancellationToken.None, scope.ServiceProvider);
        await db.SaveChangesAsync();
        await transaction.CommitAsync();
        return result;
    }

    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync();
        _host.Dispose();
    }
}

/// <summary>What the ledger said, as heard on the bus.</summary>
sealed class Facts
{
    readonly ConcurrentQueue<object> _heard = new();

    public void Add(object fact) => _heard.Enqueue(fact);

    public int Count<T>(Func<T, bool> where) => _heard.OfType<T>().Count(where);

    public IReadOnlyList<T> Of<T>() => [.. _heard.OfType<T>()];
}

sealed class FactConsumer(Facts facts) :
    IConsumer<AllShardsCommitted>, IConsumer<BatchWorkFailed>, IConsumer<BatchPlanned>, IConsumer<WorkStopped>, IConsumer<JobAdmitted>, IConsumer<StopJob>
{
    public Task Consume(ConsumeContext<AllShardsCommitted> context) => Hear(context.Message);

    public Task Consume(ConsumeContext<BatchWorkFailed> context) => Hear(context.Message);

    public Task Consume(ConsumeContext<BatchPlanned> context) => Hear(context.Message);

    public Task Consume(ConsumeContext<WorkStopped> context) => Hear(context.Message);

    public Task Consume(ConsumeContext<JobAdmitted> context) => Hear(context.Message);

    public Task Consume(ConsumeContext<StopJob> context) => Hear(context.Message);

    Task Hear(object fact)
    {
        facts.Add(fact);
        return Task.CompletedTask;
    }
}

sealed class OrderConsumer(Facts facts) : IConsumer<ScoreShard>
{
    public Task Consume(ConsumeContext<ScoreShard> context)
    {
        facts.Add(context.Message);
        return Task.CompletedTask;
    }
}
