using System.Diagnostics;
using GpuWorker.Inference;
using Interop.DuckDb;
using Interop.OnnxRuntime;

namespace GpuWorker.BatchInference;

/// <summary>What one thread needs to score vectors, or to explain what is wrong with their rows. Used by one thread at a time.</summary>
sealed unsafe class ScoringLane : IDisposable
{
    readonly ScoringPlan plan;
    readonly RowScorer? scorer;
    readonly ColumnFeed?[] feeds;
    readonly void*[][] pointers;

    /// <param name="scorer">Null for a lane that only explains.</param>
    public ScoringLane(ScoringPlan plan, RowScorer? scorer)
    {
        (this.plan, this.scorer) = (plan, scorer);
        feeds = [.. plan.Arguments.Select((_, i) => ColumnFeed.Create(plan, i, RowScorer.DefaultCapacity))];
        pointers = new void*[plan.Inputs.Count][];
        for (var i = 0; i < pointers.Length; i++)
            pointers[i] = new void*[plan.Arguments.Count(a => a.Input == i)];
        Bad = new BadRows(plan, RowScorer.DefaultCapacity, explains: scorer is null);
    }

    public BadRows Bad { get; }

    /// <summary>Finds the bad rows; when there is a scorer, hands it the values.</summary>
    public void Read(DuckDbColumns input)
    {
        Bad.Clear();
        scorer?.Begin(input.Rows);
        for (var i = 0; i < feeds.Length; i++)
        {
            var argument = plan.Arguments[i];
            if (feeds[i] is { } feed)
                pointers[argument.Input][argument.Feature] = feed.Read(input[i], input.Rows, Bad);
            else
                ReadTexts(i, argument, input[i], input.Rows);
        }
        if (scorer is null)
            return;
        for (var i = 0; i < pointers.Length; i++)
        {
            if (scorer.Inputs[i].Type == OnnxElementType.String)
                continue;
            fixed (void** columns = pointers[i])
                scorer.Pack(i, columns);
        }
    }

    public void Score(DuckDbColumns input, DuckDbColumn output, OnnxRunOptions options)
    {
        Read(input);
        var begun = Stopwatch.GetTimestamp();
        scorer!.Run(options);
        BatchMetrics.Ran(Stopwatch.GetElapsedTime(begun), scorer.Provider);
        for (var i = 0; i < plan.Columns.Count; i++)
        {
            var column = plan.IsStruct ? output.Child(i) : output;
            if (plan.Columns[i].Type != "VARCHAR")
            {
                scorer.CopyColumn(i, column.Data);
                continue;
            }
            for (var row = 0; row < input.Rows; row++)
                column.SetUtf8(row, scorer.Text(i, row));
        }
        if (!Bad.Any)
            return;
        for (var row = 0; row < input.Rows; row++)
        {
            if (Bad[row])
                output.SetNull(row);
        }
    }

    public void Dispose()
    {
        scorer?.Dispose();
        foreach (var feed in feeds)
            feed?.Dispose();
    }

    void ReadTexts(int index, ScoringArgument argument, DuckDbColumn column, int rows)
    {
        for (var row = 0; row < rows; row++)
        {
            if (column.IsNull(row))
                Bad.Add(row, index, column, BadValue.Missing);
            else
                scorer?.SetText(argument.Input, argument.Feature, row, column.Utf8(row));
        }
    }
}
