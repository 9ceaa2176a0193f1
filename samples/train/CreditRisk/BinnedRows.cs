namespace Train.CreditRisk;

/// <summary>Each feature cut into at most 256 bins of about equal rows; a bin's upper edge is a possible threshold.</summary>
sealed class BinnedRows
{
    internal BinnedRows(float[][] rows)
    {
        Rows = rows.Length;
        Features = rows[0].Length;
        Bins = new byte[Features][];
        Edges = new float[Features][];
        for (var feature = 0; feature < Features; feature++)
        {
            var values = rows.Select(r => r[feature]).ToArray();
            var edges = Edges[feature] = Cut(values);
            Bins[feature] = values.Select(v => (byte)Position(edges, v)).ToArray();
        }
    }

    internal int Rows { get; }

    internal int Features { get; }

    /// <summary>By feature, then row.</summary>
    internal byte[][] Bins { get; }

    /// <summary>By feature: edge <c>b</c> lies between the bins <c>b</c> and <c>b + 1</c>.</summary>
    internal float[][] Edges { get; }

    static float[] Cut(float[] values)
    {
        var sorted = values.Order().ToArray();
        var distinct = sorted.Distinct().ToArray();
        var uppers = distinct.Length <= BoostedTrees.MaxBins
            ? distinct
            : Enumerable.Range(1, BoostedTrees.MaxBins - 1)
                .Select(b => sorted[(int)((long)b * sorted.Length / BoostedTrees.MaxBins)])
                .Append(distinct[^1])
                .Distinct()
                .ToArray();
        var edges = new float[uppers.Length - 1];
        for (var b = 0; b < edges.Length; b++)
        {
            // Halfway to the next value there is, so that unseen values near either side fall to it.
            var next = distinct[Array.BinarySearch(distinct, uppers[b]) + 1];
            edges[b] = (float)(((double)uppers[b] + next) / 2);
        }
        return edges;
    }

    static int Position(float[] edges, float value)
    {
        var found = Array.BinarySearch(edges, value);
        return found >= 0 ? found : ~found;
    }
}
