using Interop.DuckDb;
using ServiceDefaults;

namespace EndToEnd;

/// <param name="Rows">How many there are.</param>
/// <param name="Keys">How many different keys they have.</param>
/// <param name="Sum">Of the hashes of whole rows, whatever their order.</param>
public sealed record Fingerprint(long Rows, long Keys, Int128 Sum);

/// <summary>Files of rows, made and compared.</summary>
static class Tables
{
    public static void Write(string query, string path, string options = "FORMAT parquet") =>
        Execute($"COPY ({query}) TO {DuckDbSql.Literal(path)} ({options})");

    public static string Sample(string file) => $"read_parquet({DuckDbSql.Literal(Path.Combine(PlatformFixture.Samples, "data", file))})";

    /// <summary>Of a finished job's parts; values of another format than Parquet are read as the types given.</summary>
    public static Fingerprint Of(Job job, string key) => Of(Parts(job), key, "part");

    public static Fingerprint Of(string table, string key, string row)
    {
        var found = Query($"SELECT count(*), count(DISTINCT {key}), sum(hash({row})::HUGEINT)::HUGEINT FROM {table} AS part")[0];
        return new Fingerprint((long)found[0]!, (long)found[1]!, (Int128)found[2]!);
    }

    public static string Parts(Job job) => $"read_parquet({DuckDbSql.Literal(Path.Combine(job.Folder, "part-*.parquet"))})";

    public static string Quarantine(Job job) => $"read_parquet({DuckDbSql.Literal(Path.Combine(job.Folder, "quarantine-*.parquet"))})";

    public static long CountRows(IReadOnlyList<string> files) =>
        (long)Query($"SELECT count(*) FROM read_parquet([{string.Join(", ", files.Select(DuckDbSql.Literal))}])")[0][0]!;

    public static IReadOnlyList<object?[]> Query(string sql)
    {
        using var database = Open();
        using var connection = database.Connect();
        using var result = connection.Query(sql);
        return result.Rows();
    }

    static void Execute(string sql)
    {
        using var database = Open();
        using var connection = database.Connect();
        connection.Execute(sql);
    }

    static DuckDbDatabase Open()
    {
        DuckDbLibrary.Load(NativeParts.DuckDb());
        // One thread: the same query writes the same row groups.
        return DuckDbDatabase.Open(new DuckDbSettings { MemoryLimit = "2GB" });
    }
}
