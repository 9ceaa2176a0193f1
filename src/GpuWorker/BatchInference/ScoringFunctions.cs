using System.Collections.Concurrent;
using System.Text;
using GpuWorker.Inference;
using Interop.DuckDb;
using Interop.OnnxRuntime;

namespace GpuWorker.BatchInference;

/// <summary>
/// The model as SQL. <c>score</c> gives a row's outputs, NULL for a row that must not be scored; <c>fault</c> says why, NULL for a
/// good row. Both read rows by the same code, so they never disagree.
/// </summary>
sealed class ScoringFunctions : IDisposable
{
    static int instances;

    // A database serves many shards, and keeps what was registered for each.
    readonly string suffix = $"_{Interlocked.Increment(ref instances)}";
    readonly ScoringPlan plan;
    readonly OnnxRunOptions runOptions = new();
    readonly ConcurrentBag<ScoringLane> lanes = [];

    public ScoringFunctions(ScoringPlan plan, Func<RowScorer> newScorer, DuckDbConnection connection, RunningUnit unit)
    {
        this.plan = plan;
        DuckDbType[] parameters = [.. plan.Arguments.Select(a => DuckDbType.Of(a.Type))];
        var scoring = new ConcurrentBag<ScoringLane>();
        connection.Register(new ScalarFunction("score" + suffix, parameters, plan.ResultType, (input, output) =>
        {
            var lane = scoring.TryTake(out var idle) ? idle : Keep(new ScoringLane(plan, newScorer()));
            lane.Score(input, output, runOptions);
            scoring.Add(lane);
            unit.AddRows(input.Rows);
        }));
        var explaining = new ConcurrentBag<ScoringLane>();
        connection.Register(new ScalarFunction("fault" + suffix, parameters, DuckDbType.Of(DuckDbTypeId.Varchar), (input, output) =>
        {
            var lane = explaining.TryTake(out var idle) ? idle : Keep(new ScoringLane(plan, scorer: null));
            lane.Read(input);
            for (var row = 0; row < input.Rows; row++)
            {
                if (lane.Bad[row])
                    output.SetUtf8(row, Encoding.UTF8.GetBytes(lane.Bad.Reason(row)));
                else
                    output.SetNull(row);
            }
            explaining.Add(lane);
        }));
    }

    public string Score => Call("score" + suffix);

    public string Fault => Call("fault" + suffix);

    /// <summary>Ends the model's runs: DuckDB's interrupt does not reach into them.</summary>
    public void Terminate() => runOptions.Terminate();

    public void Dispose()
    {
        foreach (var lane in lanes)
            lane.Dispose();
        runOptions.Dispose();
    }

    string Call(string function) => $"{function}({string.Join(", ", plan.Arguments.Select(a => a.Sql))})";

    ScoringLane Keep(ScoringLane lane)
    {
        lanes.Add(lane);
        return lane;
    }
}
