using System.Text.Json;
using Contracts;
using GpuWorker.Inference;
using GpuWorker.Tests.BatchInference;
using GpuWorker.Tests.Inference;
using GpuWorker.Tests.OnlineScoring;
using Interop.OnnxRuntime;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace GpuWorker.Tests;

/// <summary>Each meter of docs/metrics.md tells what it says there.</summary>
[Collection("Inference")]
public sealed class MetersTests(InferenceFixture inference)
{
    static readonly (string, string) OnCpu = ("provider", "CPU");

    [Fact]
    public async Task A_model_tells_how_long_it_took_to_open_and_how_long_its_first_caller_waited()
    {
        using var meters = new HeardMeters();
        using var bench = new OnlineBench(inference);
        var model = inference.Conformance("ort_types_float");

        await ScoreAsync(bench, model);
        await ScoreAsync(bench, model);

        var opened = meters.Of("model.load.duration", OnCpu).ShouldHaveSingleItem();
        opened.ShouldBeGreaterThan(0);
        meters.Of("model.cold_start.duration", OnCpu, ("work", "online")).ShouldHaveSingleItem().ShouldBeGreaterThan(opened);
        meters.Of("model.cache.misses").ShouldBe([1]);
        meters.Of("model.cache.hits").ShouldBe([1]);
        meters.Of("model.cache.bytes").ShouldHaveSingleItem().ShouldBe(new FileInfo(new Uri(model.Uri).LocalPath).Length);
    }

    [Fact]
    public async Task Nobody_waits_for_a_model_that_was_warmed_up()
    {
        using var meters = new HeardMeters();
        using var bench = new OnlineBench(inference);
        var model = inference.Conformance("ort_types_float");

        await bench.WarmUpAsync(model);
        await ScoreAsync(bench, model);

        meters.Of("model.load.duration").Count.ShouldBe(1);
        meters.Of("model.cold_start.duration").ShouldBeEmpty();
    }

    [Fact]
    public async Task A_request_tells_how_long_it_waited_and_ran_and_how_many_rows_it_had()
    {
        using var meters = new HeardMeters();
        using var bench = new OnlineBench(inference);

        await ScoreAsync(bench, inference.Conformance("ort_types_float"));

        meters.Of("online.queue.wait", OnCpu).ShouldBe([0]);
        meters.Of("online.batch.rows", OnCpu).ShouldBe([1]);
        meters.Of("online.rows", OnCpu).ShouldBe([1]);
        meters.Of("online.run.duration", OnCpu).ShouldHaveSingleItem().ShouldBeGreaterThan(0);
    }

    [Fact]
    public async Task A_request_that_is_refused_is_counted_by_its_code()
    {
        using var meters = new HeardMeters();
        using var bench = new OnlineBench(inference);

        await Should.ThrowAsync<FailureException>(() => bench.ScoreAsync(inference.Conformance("ort_types_float"), "{"));

        meters.Of("online.requests.refused", ("code", "malformed_json")).ShouldBe([1]);
    }

    [Fact]
    public async Task A_shard_tells_how_long_it_and_its_runs_took_and_what_became_of_its_rows()
    {
        using var bench = new Workbench();
        var input = bench.Parquet("gaps.parquet", $"SELECT * REPLACE (CASE WHEN transaction_id % 10 = 0 THEN NULL ELSE amount END AS amount) FROM read_parquet('{Workbench.Root("samples/data/transactions.parquet")}') LIMIT 5000");
        var shard = bench.Shard(input, "fraud-detection-model");
        // DuckDB's threads are its own.
        using var meters = new HeardMeters(fromHere: false);

        var scored = await bench.ScoreAsync(shard);

        scored.Quarantine!.Rows.ShouldBe(500);
        meters.Of("batch.rows", OnCpu, ("outcome", "scored")).ShouldContain(4500);
        meters.Of("batch.rows", OnCpu, ("outcome", "quarantined")).ShouldContain(500);
        meters.Of("batch.shard.duration", OnCpu).ShouldContain(scored.Elapsed.TotalMilliseconds);
        meters.Of("batch.run.duration", OnCpu).Count.ShouldBeGreaterThanOrEqualTo(3);
        meters.Of("batch.run.duration", OnCpu).ShouldAllBe(run => run > 0);
        meters.Of("model.cold_start.duration", OnCpu, ("work", "batch")).ShouldNotBeEmpty();
    }

    [Fact]
    public async Task Memory_of_a_device_is_what_the_allocators_of_the_open_models_count()
    {
        using var cache = new ModelCache(inference.Environment, inference.Artifacts, Options.Create(new InferenceOptions()), NullLogger<ModelCache>.Instance);
        using var memory = new DeviceMemory(cache, Options.Create(new InferenceOptions()));
        await memory.StartAsync(default);
        memory.Read().ShouldBeEmpty();

        using (var lease = await cache.LeaseAsync(inference.Conformance("ort_types_float")))
        {
            using var input = OnnxValue.Allocate(OnnxElementType.Float, [1, 5]);
            input.Bytes().Clear();
            lease.Session.Onnx.Run([new OnnxInput("input", input)])[0].Dispose();
        }
        var one = memory.Read().ShouldHaveSingleItem();
        (one.Device, one.LimitBytes).ShouldBe(("Cpu", null));
        one.HeldBytes.ShouldBeGreaterThan(0);

        using (await cache.LeaseAsync(inference.Conformance("ort_types_int64")))
        using (var meters = new HeardMeters())
        {
            meters.Ask();
            meters.Of("device.memory.used", ("device", "Cpu")).ShouldContain(memory.Read()[0].HeldBytes);
            meters.Of("device.memory.limit", ("device", "Cpu")).ShouldBeEmpty();
        }

        cache.Clear();
        memory.Read().ShouldBeEmpty();
    }

    [Fact]
    public async Task An_arena_that_models_share_is_counted_once_and_has_its_limit()
    {
        var options = Options.Create(new InferenceOptions { ArenaMegabytes = (int)(InferenceFixture.ArenaBytes >> 20) });
        using var cache = new ModelCache(inference.Environment, inference.Artifacts, options, NullLogger<ModelCache>.Instance);
        using var memory = new DeviceMemory(cache, options);
        await memory.StartAsync(default);
        using var first = await cache.LeaseAsync(inference.Conformance("ort_types_float"));
        var before = memory.Read().ShouldHaveSingleItem();
        before.LimitBytes.ShouldBe(InferenceFixture.ArenaBytes);

        using var second = await cache.LeaseAsync(inference.Conformance("ort_types_int64"));

        memory.Read().ShouldHaveSingleItem().HeldBytes.ShouldBe(second.Session.Onnx.ReadMemory().Single().HeldBytes);
        using var meters = new HeardMeters();
        meters.Ask();
        meters.Of("device.memory.limit", ("device", "Cpu")).ShouldContain(InferenceFixture.ArenaBytes);
    }

    static Task<JsonElement> ScoreAsync(OnlineBench bench, ModelRef model) =>
        bench.ScoreAsync(model, """{"inputs":[{"name":"input","shape":[1,5],"datatype":"FP32","data":[1,2,3,4,5]}]}""");
}
