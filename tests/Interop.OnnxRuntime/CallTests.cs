using System.Runtime.InteropServices;

namespace Interop.OnnxRuntime.Tests;

[Collection("ONNX Runtime")]
public sealed unsafe class CallTests(OnnxRuntimeFixture runtime) : IDisposable
{
    const int MostRows = 64;

    readonly float* features = (float*)NativeMemory.AllocZeroed(MostRows * 4, sizeof(float));
    readonly float* scores = (float*)NativeMemory.AllocZeroed(MostRows * 3, sizeof(float));

    public void Dispose()
    {
        NativeMemory.Free(features);
        NativeMemory.Free(scores);
    }

    [Fact]
    public void Runs_of_any_number_of_rows_use_the_same_memory()
    {
        using var session = runtime.Open("winml_iris_pytorch");
        using var call = new OnnxCall(session, ["input"], ["output"]);
        foreach (var rows in (int[])[1, 64, 7, 0, 64])
        {
            for (var i = 0; i < rows * 4; i++)
                features[i] = i * 0.1f;
            SetRows(call, rows);
            call.Run();
            using var copy = OnnxValue.Create(new ReadOnlySpan<float>(features, rows * 4), [rows, 4]);
            using var expected = session.Run([new OnnxInput("input", copy)])[0];
            new ReadOnlySpan<float>(scores, rows * 3).ToArray().ShouldBe(expected.Span<float>().ToArray());
        }
    }

    [Fact]
    public void A_run_allocates_nothing_managed()
    {
        using var session = runtime.Open("winml_iris_pytorch");
        using var call = new OnnxCall(session, ["input"], ["output"]);
        using var options = new OnnxRunOptions();
        for (var i = 0; i < 100; i++)
            RunOnce(i);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1000; i++)
            RunOnce(i);
        (GC.GetAllocatedBytesForCurrentThread() - before).ShouldBe(0);

        void RunOnce(int i)
        {
            SetRows(call, 1 + i % MostRows);
            call.Run(options);
        }
    }

    [Fact]
    public void Outputs_that_are_not_set_are_made_by_each_run()
    {
        using var session = runtime.Open("winml_iris_pytorch");
        using var call = new OnnxCall(session, ["input"], ["output"]);
        call.SetInput(0, features, 16, OnnxElementType.Float, [1, 4]);
        call.Run();
        call.Run();
        using var output = call.TakeOutput(0);
        output.Shape.ShouldBe([1, 3]);
        Should.Throw<InvalidOperationException>(() => call.TakeOutput(0));
        call.SetOutput(0, scores, 12, OnnxElementType.Float, [1, 3]);
        call.Run();
        Should.Throw<InvalidOperationException>(() => call.TakeOutput(0));
        call.LeaveOutput(0);
        call.Run();
        call.TakeOutput(0).Dispose();
    }

    [Fact]
    public void An_output_of_the_wrong_shape_is_refused()
    {
        using var session = runtime.Open("winml_iris_pytorch");
        using var call = new OnnxCall(session, ["input"], ["output"]);
        call.SetInput(0, features, 16, OnnxElementType.Float, [1, 4]);
        call.SetOutput(0, scores, 24, OnnxElementType.Float, [2, 3]);
        Should.Throw<OnnxException>(() => call.Run());
        call.SetOutput(0, scores, 12, OnnxElementType.Float, [1, 3]);
        call.Run();
    }

    [Fact]
    public void A_lent_value_stays_its_owners()
    {
        using var session = runtime.Open("winml_iris_pytorch");
        var value = OnnxValue.Create<float>([1, 2, 3, 4], [1, 4]);
        using (var call = new OnnxCall(session, ["input"], ["output"]))
        {
            call.SetInput(0, value);
            call.Run();
            call.Run();
        }
        value.Span<float>()[3].ShouldBe(4);
        using var second = new OnnxCall(session, ["input"], ["output"]);
        second.SetInput(0, value);
        value.Dispose();
        Should.Throw<ObjectDisposedException>(() => second.Run());
    }

    [Fact]
    public void Terminated_options_stop_a_call()
    {
        using var session = runtime.Open("winml_iris_pytorch");
        using var call = new OnnxCall(session, ["input"], ["output"]);
        using var options = new OnnxRunOptions();
        SetRows(call, 1);
        options.Terminate();
        Should.Throw<OperationCanceledException>(() => call.Run(options));
        call.Dispose();
        Should.Throw<ObjectDisposedException>(() => call.Run());
    }

    [Fact]
    public void Many_threads_score_with_one_session()
    {
        using var session = runtime.Open("winml_iris_pytorch");
        var input = (nint)features;
        var results = new float[4];
        Parallel.For(0, 4, worker =>
        {
            var output = (float*)NativeMemory.Alloc(3, sizeof(float));
            using var call = new OnnxCall(session, ["input"], ["output"]);
            for (var i = 0; i < 500; i++)
            {
                call.SetInput(0, (void*)input, 16, OnnxElementType.Float, [1, 4]);
                call.SetOutput(0, output, 12, OnnxElementType.Float, [1, 3]);
                call.Run();
            }
            results[worker] = output[0];
            NativeMemory.Free(output);
        });
        results.Distinct().Count().ShouldBe(1);
    }

    void SetRows(OnnxCall call, int rows)
    {
        call.SetInput(0, features, rows * 16, OnnxElementType.Float, [rows, 4]);
        call.SetOutput(0, scores, rows * 12, OnnxElementType.Float, [rows, 3]);
    }
}
