namespace Consumers.BatchInference;

/// <summary>Cuts a file's rows into shards. Pure: the same file and the same speed give the same cut.</summary>
/// <param name="MostRows">No shard holds more.</param>
/// <param name="WantedRows">A shard is closed at the first row group border at or after this.</param>
public sealed record ShardPlan(long WantedRows, long MostRows)
{
    const double WantedSeconds = 5;
    const double MostSeconds = 20;
    const int LeastPerSlot = 4;

    /// <summary>What DuckDB hands to the model at once: smaller shards cost more than they spread.</summary>
    const long VectorRows = 2048;

    /// <param name="rowsPerSecond">Of one worker slot.</param>
    /// <param name="slots">Worker slots there are now; at least one is assumed.</param>
    /// <param name="batchSize">The caller's limit.</param>
    public static ShardPlan For(long totalRows, double rowsPerSecond, int slots, int? batchSize)
    {
        var perShard = Math.Max(1, (long)(rowsPerSecond * WantedSeconds));
        var spread = Math.Max(VectorRows, totalRows / (LeastPerSlot * Math.Max(1, slots)));
        var most = Math.Max(1, Math.Min((long)(rowsPerSecond * MostSeconds), batchSize ?? long.MaxValue));
        return new ShardPlan(Math.Min(Math.Min(perShard, spread), most), most);
    }

    /// <param name="groups">Rows of each row group, in file order.</param>
    public IEnumerable<(long FirstRow, long Rows)> Cut(IEnumerable<long> groups)
    {
        long first = 0, rows = 0;
        foreach (var group in groups)
        {
            // A whole group more would be too much: close what there is, so that no group is read for two shards.
            if (rows > 0 && rows + group > MostRows)
            {
                yield return (first, rows);
                (first, rows) = (first + rows, 0);
            }

            rows += group;
            // A group larger than wanted is cut within: row ranges prune to their group.
            while (rows > MostRows || rows >= 2 * WantedRows)
            {
                yield return (first, WantedRows);
                (first, rows) = (first + WantedRows, rows - WantedRows);
            }

            if (rows >= WantedRows)
            {
                yield return (first, rows);
                (first, rows) = (first + rows, 0);
            }
        }

        if (rows > 0)
            yield return (first, rows);
    }
}
