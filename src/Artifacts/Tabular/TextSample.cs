using Interop.DuckDb;

namespace Artifacts.Tabular;

/// <summary>What values that come as text look like.</summary>
static class TextSample
{
    // From the narrowest up. One number among words makes a column of numbers with bad rows, not a column of words.
    static readonly string[] Order = ["NULL", "VARCHAR", "BOOLEAN", "BIGINT", "DOUBLE"];

    public static IReadOnlyList<string> Types(DuckDbConnection connection, string sample, IReadOnlyList<string> names, CancellationToken cancellationToken)
    {
        var columns = string.Join(", ", names.Select(DuckDbSql.Identifier).Select(c =>
            $"count({c}), count(*) FILTER (regexp_full_match({c}, '[+-]?[0-9]+')), count(try_cast({c} AS DOUBLE)), count(*) FILTER (lower({c}) IN ('true', 'false'))"));
        using var result = connection.Query($"SELECT {columns} FROM ({sample})", cancellationToken);
        var counts = result.Rows()[0];
        long Count(int index) => (long)counts[index]!;
        return [.. names.Select((_, i) => Type(Count(4 * i), Count(4 * i + 1), Count(4 * i + 2), Count(4 * i + 3)))];
    }

    public static string Widest(IEnumerable<string> types) => types.MaxBy(t => Array.IndexOf(Order, t))!;

    static string Type(long values, long integers, long numbers, long booleans) =>
        values == 0 ? "NULL"
        : numbers > 0 ? integers == values ? "BIGINT" : "DOUBLE"
        : booleans > 0 ? "BOOLEAN"
        : "VARCHAR";
}
