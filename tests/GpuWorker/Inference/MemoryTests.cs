using Contracts;
using GpuWorker.Inference;
using GpuWorker.Tests.OnlineScoring;

namespace GpuWorker.Tests.Inference;

/// <summary>Runs that do not fit the memory, shown on the CPU by an arena with an end.</summary>
[Collection("Inference")]
public sealed class MemoryTests(InferenceFixture inference)
{
    // 160 rows of it fill the arena.
    const long CopiesOfRow = InferenceFixture.ArenaBytes / 160 / sizeof(float);
    const long TooManyCopies = InferenceFixture.ArenaBytes / sizeof(float) + 1;
    const int Rows = 2048;

    static readonly InferenceOptions Limited = new() { ArenaMegabytes = 1 };

    [Fact]
    public void Fewer_rows_are_run_at_once_until_they_fit_and_every_row_is_scored()
    {
        using var session = Open(TestModels.Wide(CopiesOfRow));

        Score(session, Rows).ShouldBe(Enumerable.Range(0, Rows).Select(i => (float)i));

        var limit = session.RowLimit;
        limit.ShouldBeInRange(16, 128);
        // What did not fit once is not tried again.
        Score(session, 300).ShouldBe(Enumerable.Range(0, 300).Select(i => (float)i));
        session.RowLimit.ShouldBe(limit);
    }

    [Fact]
    public void A_row_that_does_not_fit_alone_is_a_fault_of_the_row()
    {
        using var session = Open(TestModels.Wide(TooManyCopies));

        Should.Throw<FailureException>(() => Score(session, 4)).Failure.Code.ShouldBe("scoring_failed");

        session.RowLimit.ShouldBe(1);
    }

    [Fact]
    public async Task Online_a_request_of_many_rows_is_run_in_parts()
    {
        using var bench = new OnlineBench(inference, inferenceOptions: Limited);
        var model = inference.Add(TestModels.Wide(CopiesOfRow));

        var rows = await bench.ScoreAsync(model, $$"""{"data":[{{string.Join(',', Enumerable.Range(0, 1000).Select(i => $$"""{"x":{{i}}}"""))}}]}""");
        rows.GetProperty("predictions").EnumerateArray().Select(row => row.GetProperty("y").GetInt32()).ShouldBe(Enumerable.Range(0, 1000));

        var tensors = await bench.ScoreAsync(model, $$"""{"inputs":[{"name":"x","datatype":"FP32","shape":[1000,1],"data":[{{string.Join(',', Enumerable.Range(0, 1000))}}]}]}""");
        tensors.GetProperty("outputs")[0].GetProperty("data").EnumerateArray().Select(value => value.GetInt32()).ShouldBe(Enumerable.Range(0, 1000));
        tensors.GetProperty("outputs")[0].GetProperty("shape")[0].GetInt32().ShouldBe(1000);
    }

    [Fact]
    public async Task What_was_found_outlasts_the_session()
    {
        using var bench = new OnlineBench(inference, inferenceOptions: Limited);
        var model = inference.Add(TestModels.Wide(CopiesOfRow));
        await bench.ScoreAsync(model, $$"""{"data":[{{string.Join(',', Enumerable.Range(0, 1000).Select(i => $$"""{"x":{{i}}}"""))}}]}""");
        int limit;
        using (var lease = await bench.Models.LeaseAsync(model))
            limit = lease.Session.RowLimit;
        limit.ShouldBeLessThan(1000);

        bench.Models.Clear().Closed.ShouldBe(1);

        using var again = await bench.Models.LeaseAsync(model);
        again.Session.RowLimit.ShouldBe(limit);
    }

    ModelSession Open(byte[] model)
    {
        var added = inference.Add(model);
        return ModelSession.Open(inference.Environment, new Uri(added.Uri).LocalPath, added.Sha256, Limited);
    }

    unsafe float[] Score(ModelSession session, int rows)
    {
        var signature = new ModelSignature([], [], [new OutputColumn("y", "FLOAT", 0, 0)], null, false, true, new Dictionary<string, string>(), "");
        using var scorer = new RowScorer(inference.Environment, session, signature, ["x"]);
        var (x, y) = (Enumerable.Range(0, rows).Select(i => (float)i).ToArray(), new float[rows]);
        scorer.Begin(rows);
        fixed (float* input = x, output = y)
        {
            scorer.Pack(0, 0, input);
            scorer.Run();
            scorer.CopyColumn(0, output);
        }
        return y;
    }
}
