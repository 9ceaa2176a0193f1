using Interop.DuckDb;
using ServiceDefaults;
using Train.FraudDetection;

namespace Benchmarks;

/// <summary>
/// Input with the fraud model's 30 columns, made once and kept. The values use all bits of a float and no two rows are alike: they
/// neither compress nor repeat, so reading is as cheap as it gets, and the platform's own share of the time as large.
/// </summary>
static class GeneratedInput
{
    internal const int Seed = 8;
    const int Files = 4;
    const int RowGroupRows = 122_880;

    internal static IReadOnlyList<string> Features { get; } = [.. TransactionGenerator.Features.Select(f => f.Name)];

    internal static string Folder(BenchmarkOptions options, long rows, int files = Files)
    {
        var folder = Path.Combine(options.Folder, "inputs", $"rows-{rows}-{files}");
        if (!Directory.Exists(folder))
        {
            Console.WriteLine($"Generating {rows:N0} rows ...");
            var unfinished = Directory.CreateDirectory(folder + ".unfinished").FullName;
            Write(unfinished, rows, files);
            Directory.Move(unfinished, folder);
        }
        return folder;
    }

    static void Write(string folder, long rows, int files)
    {
        DuckDbLibrary.Load(NativeParts.DuckDb());
        using var database = DuckDbDatabase.Open(new DuckDbSettings { Threads = Environment.ProcessorCount, MemoryLimit = "2GB" });
        // From 0 to 1 in steps of 2^-24.
        var columns = string.Join(", ", Features.Select((f, i) => $"((hash(range, {Seed}, {i}) >> 40) / 16777216.0)::FLOAT AS {DuckDbSql.Identifier(f)}"));
        Parallel.For(0, files, new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount }, file =>
        {
            using var connection = database.Connect();
            connection.Execute(
                $"COPY (SELECT range AS id, {columns} FROM range({1 + rows * file / files}, {1 + rows * (file + 1) / files})) "
                + $"TO {DuckDbSql.Literal(Path.Combine(folder, $"rows-{file:000}.parquet"))} (FORMAT parquet, ROW_GROUP_SIZE {RowGroupRows})");
        });
    }
}
