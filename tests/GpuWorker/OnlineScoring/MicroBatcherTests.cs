using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Text.Json;
using Contracts;
using GpuWorker.Tests.Inference;

namespace GpuWorker.Tests.OnlineScoring;

/// <summary>Requests of several callers behind a busy model.</summary>
[Collection("Inference")]
public sealed class MicroBatcherTests(InferenceFixture inference)
{
    [Fact]
    public async Task An_idle_model_runs_a_request_at_once_and_those_behind_a_busy_one_are_run_together()
    {
        using var held = new HeldRuns();
        using var bench = new OnlineBench(inference, online => online.RunsPerModel = 1);
        var model = inference.Add(TestModels.Scale());
        await bench.WarmUpAsync(model);

        var first = await held.StartAsync(() => bench.ScoreAsync(model, Row(0)));
        var others = Enumerable.Range(1, 20).Select(i => bench.ScoreAsync(model, Row(i))).ToArray();
        others.ShouldAllBe(one => !one.IsCompleted);
        held.Release();

        Value(await first).ShouldBe(0);
        for (var i = 0; i < others.Length; i++)
            Value(await others[i]).ShouldBe(2 * (i + 1));
        held.BatchRows.ShouldBe([1, 20]);
    }

    [Fact]
    public async Task A_batch_ends_at_its_most_rows()
    {
        using var held = new HeldRuns();
        using var bench = new OnlineBench(inference, online => (online.RunsPerModel, online.MaxBatchRows) = (1, 8));
        var model = inference.Add(TestModels.Scale());
        await bench.WarmUpAsync(model);

        var first = await held.StartAsync(() => bench.ScoreAsync(model, Row(0)));
        var others = Enumerable.Range(1, 20).Select(i => bench.ScoreAsync(model, Row(i))).ToArray();
        held.Release();

        await Task.WhenAll([first, .. others]);
        held.BatchRows.ShouldBe([1, 8, 8, 4]);
    }

    [Theory]
    [InlineData("ort_types_float")] // A fixed first dimension.
    [InlineData("ort_tree_ensemble_double")] // One without a name.
    public async Task Where_the_model_does_not_say_that_rows_may_be_together_each_request_runs_alone(string conformance)
    {
        using var bench = new OnlineBench(inference);

        (await RowsOfRunsAsync(bench, inference.Conformance(conformance), Body(conformance))).ShouldAllBe(rows => rows == 1);

        static string Body(string name) => name == "ort_types_float" ? """{"data":[{"input":[1,2,3,4,5]}]}""" : """{"data":[{"X":[1,2,3,4]}]}""";
    }

    [Fact]
    public async Task Where_rows_are_not_independent_each_request_runs_alone()
    {
        using var bench = new OnlineBench(inference);

        // y = x − mean of all rows: the model's own types say nothing of it.
        (await RowsOfRunsAsync(bench, inference.Add(TestModels.Centered()), """{"data":[{"x":[1,2]}]}""")).ShouldAllBe(rows => rows == 1);
        (await bench.ScoreAsync(inference.Add(TestModels.Centered()), """{"data":[{"x":[1,2]}]}""")).GetProperty("predictions")[0].GetProperty("y_0").GetDouble().ShouldBe(0);
    }

    [Fact]
    public async Task It_can_be_turned_off()
    {
        using var bench = new OnlineBench(inference, online => online.MicroBatching = false);

        (await RowsOfRunsAsync(bench, inference.Add(TestModels.Scale()), Row(1))).ShouldAllBe(rows => rows == 1);
    }

    [Fact]
    public async Task Requests_with_different_adapters_do_not_mix()
    {
        using var held = new HeldRuns();
        using var bench = new OnlineBench(inference, online => online.RunsPerModel = 1);
        var folder = Path.Combine(InferenceFixture.FindConformance(), "ort_lora_two_params");
        var model = inference.Add(File.ReadAllBytes(Path.Combine(folder, "two_params_lora_model.onnx")));
        var (plain, adapted) = (Case(folder, 0), Case(folder, 1));
        plain.Adapter.ShouldBeNull();
        adapted.Adapter.ShouldNotBeNull();
        await bench.WarmUpAsync(model);

        var first = await held.StartAsync(() => bench.ScoreAsync(model, plain.Body()));
        var mixed = Enumerable.Range(0, 12).Select(i => (i % 2 == 0 ? adapted : plain, bench.ScoreAsync(model, (i % 2 == 0 ? adapted : plain).Body(), i % 2 == 0 ? adapted.Adapter : null))).ToArray();
        held.Release();

        plain.ShouldMatch(await first);
        foreach (var (asked, answer) in mixed)
            asked.ShouldMatch(await answer);
    }

    [Fact]
    public async Task A_full_queue_refuses_and_the_rest_is_served()
    {
        using var held = new HeldRuns();
        using var bench = new OnlineBench(inference, online => (online.RunsPerModel, online.MaxQueued) = (1, 3));
        var model = inference.Add(TestModels.Scale());
        await bench.WarmUpAsync(model);

        var first = await held.StartAsync(() => bench.ScoreAsync(model, Row(0)));
        var waiting = Enumerable.Range(1, 3).Select(i => bench.ScoreAsync(model, Row(i))).ToArray();
        (await Should.ThrowAsync<FailureException>(bench.ScoreAsync(model, Row(4)))).Failure.Code.ShouldBe("overloaded");
        held.Release();

        Value(await first).ShouldBe(0);
        (await Task.WhenAll(waiting)).Select(Value).ShouldBe([2, 4, 6]);
    }

    [Fact]
    public async Task Who_waits_too_long_is_refused()
    {
        using var held = new HeldRuns();
        using var bench = new OnlineBench(inference, online => (online.RunsPerModel, online.MaxWaitMilliseconds) = (1, 20));
        var model = inference.Add(TestModels.Scale());
        await bench.WarmUpAsync(model);

        var first = await held.StartAsync(() => bench.ScoreAsync(model, Row(0)));
        (await Should.ThrowAsync<FailureException>(bench.ScoreAsync(model, Row(1)))).Failure.Code.ShouldBe("overloaded");
        held.Release();

        Value(await first).ShouldBe(0);
        Value(await bench.ScoreAsync(model, Row(5))).ShouldBe(10);
    }

    [Fact]
    public async Task Who_has_gone_is_not_scored_and_the_others_are()
    {
        using var held = new HeldRuns();
        using var bench = new OnlineBench(inference, online => online.RunsPerModel = 1);
        var model = inference.Add(TestModels.Scale());
        await bench.WarmUpAsync(model);
        using var gone = new CancellationTokenSource();

        var first = await held.StartAsync(() => bench.ScoreAsync(model, Row(0)));
        var leaving = bench.ScoreAsync(model, Row(1), stop: gone.Token);
        var staying = bench.ScoreAsync(model, Row(2));
        await gone.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(leaving);
        held.Release();

        Value(await staying).ShouldBe(4);
        await first;
        held.BatchRows.ShouldBe([1, 1]);
    }

    [Fact]
    public async Task A_run_that_nobody_waits_for_any_more_is_stopped()
    {
        using var bench = new OnlineBench(inference, online => online.RunsPerModel = 1);
        // It takes one row, so the made-up rows of the warm-up end at once with an error; a real one adds to itself for hours.
        var model = inference.Add(TestModels.Countdown());
        using var deadline = new CancellationTokenSource(50);

        await Should.ThrowAsync<OperationCanceledException>(Task.Run(() => bench.ScoreAsync(model, Turns(1L << 40), stop: deadline.Token)));

        // Its place is free again.
        (await bench.ScoreAsync(model, Turns(3))).GetProperty("outputs")[0].GetProperty("data")[0].GetDouble().ShouldBe(3);
    }

    [Fact]
    public async Task One_request_that_fails_does_not_take_its_batch_with_it()
    {
        using var held = new HeldRuns();
        using var bench = new OnlineBench(inference, online => online.RunsPerModel = 1);
        // y = table[x], of two entries.
        var model = inference.Add(TestModels.Lookup());
        await bench.WarmUpAsync(model);

        var first = await held.StartAsync(() => bench.ScoreAsync(model, """{"data":[{"x":0}]}"""));
        int[] asked = [1, 99, 0];
        var others = asked.Select(i => bench.ScoreAsync(model, $$"""{"data":[{"x":{{i}}}]}""")).ToArray();
        held.Release();

        await first;
        (await others[0]).GetProperty("predictions")[0].GetProperty("y").GetDouble().ShouldBe(20);
        (await Should.ThrowAsync<FailureException>(others[1])).Failure.Code.ShouldBe("scoring_failed");
        (await others[2]).GetProperty("predictions")[0].GetProperty("y").GetDouble().ShouldBe(10);
    }

    static async Task<IReadOnlyList<int>> RowsOfRunsAsync(OnlineBench bench, ModelRef model, string body)
    {
        bench.Settings.RunsPerModel = 1;
        await bench.WarmUpAsync(model);
        using var held = new HeldRuns();
        var first = await held.StartAsync(() => bench.ScoreAsync(model, body));
        var others = Enumerable.Range(0, 6).Select(_ => bench.ScoreAsync(model, body)).ToArray();
        held.Release();
        await Task.WhenAll([first, .. others]);
        held.BatchRows.Count.ShouldBe(7);
        return held.BatchRows;
    }

    static OnlineCase Case(string folder, int number) =>
        new(JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, $"case_{number}.json"))).RootElement, folder);

    static string Row(int x) => $$"""{"data":[{"x":[{{x}},1]}]}""";

    static string Turns(long turns) => $$"""{"inputs":[{"name":"turns","shape":[],"datatype":"INT64","data":[{{turns}}]}]}""";

    static double Value(JsonElement answer) => answer.GetProperty("predictions")[0].GetProperty("y_0").GetDouble();

    /// <summary>Holds a run that begins inside <see cref="StartAsync"/> until it is released, and counts the rows of all runs.</summary>
    sealed class HeldRuns : IDisposable
    {
        static readonly AsyncLocal<HeldRuns?> Holding = new();

        readonly MeterListener _listener = new();
        readonly ManualResetEventSlim _released = new();
        readonly TaskCompletionSource _begun = new(TaskCreationOptions.RunContinuationsAsynchronously);
        readonly ConcurrentQueue<int> _rows = [];

        public HeldRuns()
        {
            _listener.InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Name is "online.queue.wait" or "online.batch.rows")
                    listener.EnableMeasurementEvents(instrument);
            };
            _listener.SetMeasurementEventCallback<double>((_, _, _, _) =>
            {
                if (Holding.Value != this)
                    return;
                _begun.TrySetResult();
                _released.Wait();
            });
            _listener.SetMeasurementEventCallback<int>((_, rows, _, _) => _rows.Enqueue(rows));
            _listener.Start();
        }

        /// <summary>Rows of each run so far.</summary>
        public IReadOnlyList<int> BatchRows => [.. _rows];

        /// <summary>Comes back once the run has begun.</summary>
        public async Task<Task<T>> StartAsync<T>(Func<Task<T>> run)
        {
            var running = Task.Run(() =>
            {
                Holding.Value = this;
                return run();
            });
            await _begun.Task;
            return running;
        }

        public void Release() => _released.Set();

        public void Dispose()
        {
            _released.Set();
            _listener.Dispose();
            _released.Dispose();
        }
    }
}
