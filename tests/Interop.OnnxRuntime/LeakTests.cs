namespace Interop.OnnxRuntime.Tests;

[Collection("ONNX Runtime")]
public sealed class LeakTests(OnnxRuntimeFixture runtime)
{
    [Fact]
    public void Memory_stays_flat_over_runs_failures_values_and_sessions()
    {
        Round();
        Round();
        // A leak of 64 bytes in any of the calls of a round would show as more, each time. What the runtime takes for itself comes once.
        Enumerable.Range(0, 3).Min(_ => Growth()).ShouldBeLessThan(4L << 20);
    }

    long Growth()
    {
        var before = ResidentBytes();
        for (var i = 0; i < 4; i++)
            Round();
        return ResidentBytes() - before;
    }

    void Round()
    {
        using (var session = runtime.Open("winml_iris_pytorch"))
        using (var wrong = OnnxValue.Create<float>([1, 2, 3], [1, 3]))
        {
            for (var i = 0; i < 20_000; i++)
            {
                using var value = OnnxValue.Create<float>([1, 2, 3, 4], [1, 4]);
                session.Run([new OnnxInput("input", value)])[0].Dispose();
            }
            for (var i = 0; i < 200; i++)
                Should.Throw<OnnxException>(() => session.Run([new OnnxInput("input", wrong)]));
        }
        using (var session = runtime.Open("ort_zipmap_stringfloat"))
        {
            for (var i = 0; i < 2_000; i++)
            {
                using var value = OnnxValue.Create<float>([1, 2, 3], [1, 3]);
                using var sequence = session.Run([new OnnxInput("X", value)])[0];
                using var map = sequence.Item(0);
                using var keys = map.MapKeys();
                keys.Strings().Length.ShouldBe(3);
                using var none = OnnxValue.Sequence([value]);
            }
        }
        for (var i = 0; i < 50; i++)
            runtime.Open("ort_logreg_iris_zipmap").Dispose();
        GC.Collect();
        GC.WaitForPendingFinalizers();
    }

    static long ResidentBytes()
    {
        // The second field is the resident set in pages.
        var fields = File.ReadAllText("/proc/self/statm").Split(' ');
        return long.Parse(fields[1]) * Environment.SystemPageSize;
    }
}
