using System.Collections.Concurrent;
using System.Diagnostics;
using Contracts;
using Contracts.BatchInference;
using Contracts.WorkLedger;
using GpuWorker.BatchInference;
using GpuWorker.Inference;
using MassTransit;
using Messaging;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Support;

namespace GpuWorker.Tests.BatchInference;

/// <summary>The worker as a host runs it, on the in-memory bus.</summary>
public sealed class WorkerTests : IAsyncLifetime
{
    readonly Workbench bench = new();
    readonly Inbox inbox = new();
    IHost host = null!;
    IBus bus = null!;

    public async Task InitializeAsync()
    {
        var builder = Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders();
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["Artifacts:InputRoots:0"] = bench["in"],
            ["Artifacts:InputRoots:1"] = Workbench.Root("samples"),
            ["Artifacts:OutputRoots:0"] = bench["out"],
            ["Artifacts:ModelsRoot"] = Workbench.Root("tests"),
            ["GpuWorker:Slots"] = "2",
            ["GpuWorker:ThreadsPerSlot"] = "1",
            ["GpuWorker:UnitSeconds"] = "2",
            ["GpuWorker:WorkerName"] = "bench",
        });
        builder.Services.AddSingleton(inbox);
        builder.Services.AddWorker();
        builder.AddMessaging(configure =>
        {
            configure.AddBatchInference();
            configure.AddConsumer<Inbox.Reader>();
        });
        host = builder.Build();
        await host.StartAsync();
        bus = host.Services.GetRequiredService<IBus>();
    }

    public async Task DisposeAsync()
    {
        await host.StopAsync();
        host.Dispose();
        bench.Dispose();
    }

    [Fact]
    public async Task Announces_itself_at_once_with_its_slots() =>
        (await inbox.Next<WorkerAlive>()).ShouldSatisfyAllConditions(w => w.Worker.ShouldBe("bench"), w => w.Slots.ShouldBe(2));

    [Fact]
    public async Task Scores_and_says_so_after_a_heartbeat()
    {
        var shard = bench.Shard(Workbench.Sample("transactions.parquet"), "fraud-detection-model", ["transaction_id"]);
        await bus.Publish(shard);
        var scored = await inbox.Next<ShardScored>();
        (scored.JobId, scored.Epoch, scored.Shard, scored.Attempt, scored.Worker, scored.Part!.Rows).ShouldBe((shard.JobId, 1, 7, 1, "bench", 10_000));
        (await inbox.Next<UnitHeartbeat>()).Execution.ShouldBe(scored.Execution);
        inbox.Faults.ShouldBeEmpty();
    }

    [Fact]
    public async Task Converts_and_says_so()
    {
        var file = bench.Store.Pin(Workbench.Sample("transactions.csv"), Artifacts.ArtifactAccess.Input);
        await bus.Publish(new ConvertFile(
            Guid.CreateVersion7(), 1, 4, 2, "local", new RowRange(file.Uri, file.Source, 0, 0, file.Length, file.ModifiedTicks), "csv", ["amount"], bench.WorkUri));
        var converted = await inbox.Next<FileConverted>();
        (converted.Unit, converted.Attempt, converted.Rows).ShouldBe((4, 2, 10_000));
    }

    [Fact]
    public async Task A_failure_is_reported_with_its_code_and_faults_nothing()
    {
        using var meters = new HeardMeters(fromHere: false);
        var shard = bench.Shard(Workbench.Sample("transactions.parquet"), "fraud-detection-model");
        await bus.Publish(shard with { Range = shard.Range with { Length = 1 } });
        var failed = await inbox.Next<ShardFailed>();
        (failed.Failure.Code, failed.Retryable, failed.RowsPerSecond).ShouldBe((FailureCodes.InputChanged, false, 0));
        meters.Of("batch.units.failed", ("code", FailureCodes.InputChanged)).ShouldNotBeEmpty();
        inbox.Faults.ShouldBeEmpty();
    }

    [Fact]
    public async Task A_unit_that_takes_too_long_stops_in_time_and_tells_its_speed()
    {
        await bus.Publish(LongShard());
        var failed = await inbox.Next<ShardFailed>();
        (failed.Failure.Code, failed.Retryable).ShouldBe((FailureCodes.TooLong, true));
        failed.RowsPerSecond.ShouldBeGreaterThan(0);
        bench.WorkFiles.ShouldBeEmpty();
    }

    [Fact]
    public async Task A_stopped_job_ends_soon_and_says_nothing()
    {
        var shard = LongShard();
        await bus.Publish(shard);
        await inbox.Next<UnitHeartbeat>();
        var units = host.Services.GetRequiredService<RunningUnits>();
        await Eventually.TrueAsync(() => units.All.Any(u => u.RowsDone > 0), "the unit scores");
        var clock = Stopwatch.StartNew();
        await bus.Publish(new StopJob(shard.JobId, 2));
        await Eventually.TrueAsync(() => units.All.Count == 0, "the unit ends");
        clock.Elapsed.ShouldBeLessThan(TimeSpan.FromSeconds(5));
        await bus.Publish(bench.Shard(Workbench.Sample("transactions.parquet"), "fraud-detection-model") with { JobId = Guid.CreateVersion7(), Shard = 99 });
        (await inbox.Next<ShardScored>()).Shard.ShouldBe(99);
        inbox.Count<ShardFailed>().ShouldBe(0);
        bench.WorkFiles.Length.ShouldBe(1);
    }

    // Boosted trees over a million rows: many seconds on any machine.
    ScoreShard LongShard() => bench.Shard(
        bench.Parquet("long.parquet", $"SELECT c.* FROM read_parquet('{Workbench.Root("samples/data/credit.parquet")}') c, range(60)"), "credit-risk-model");

    sealed class Inbox
    {
        readonly ConcurrentDictionary<Type, System.Threading.Channels.Channel<object>> messages = [];

        public ConcurrentQueue<Fault> Faults { get; } = [];

        public async Task<T> Next<T>()
        {
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
            return (T)await Of<T>().Reader.ReadAsync(patience.Token);
        }

        public int Count<T>() => Of<T>().Reader.Count;

        void Add<T>(T message) where T : class => Of<T>().Writer.TryWrite(message);

        System.Threading.Channels.Channel<object> Of<T>() => messages.GetOrAdd(typeof(T), _ => System.Threading.Channels.Channel.CreateUnbounded<object>());

        public sealed class Reader(Inbox inbox) :
            IConsumer<WorkerAlive>, IConsumer<UnitHeartbeat>, IConsumer<ShardScored>, IConsumer<FileConverted>, IConsumer<ShardFailed>, IConsumer<Fault>
        {
            public Task Consume(ConsumeContext<WorkerAlive> context) => Add(context);

            public Task Consume(ConsumeContext<UnitHeartbeat> context) => Add(context);

            public Task Consume(ConsumeContext<ShardScored> context) => Add(context);

            public Task Consume(ConsumeContext<FileConverted> context) => Add(context);

            public Task Consume(ConsumeContext<ShardFailed> context) => Add(context);

            public Task Consume(ConsumeContext<Fault> context)
            {
                inbox.Faults.Enqueue(context.Message);
                return Task.CompletedTask;
            }

            Task Add<T>(ConsumeContext<T> context) where T : class
            {
                inbox.Add(context.Message);
                return Task.CompletedTask;
            }
        }
    }
}
