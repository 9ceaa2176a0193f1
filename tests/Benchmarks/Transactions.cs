using Train.FraudDetection;

namespace Benchmarks;

/// <summary>Generated input, made once and kept: the rows depend on seed and number alone.</summary>
static class Transactions
{
    internal const ulong Seed = 8;
    const int Files = 4;

    internal static IReadOnlyList<string> Features => [.. TransactionGenerator.Features.Select(f => f.Name)];

    internal static string Folder(BenchmarkOptions options, long rows, int files = Files)
    {
        var folder = Path.Combine(options.Folder, "inputs", $"transactions-{rows}-{files}");
        if (!Directory.Exists(folder))
        {
            Console.WriteLine($"Generating {rows:N0} rows ...");
            var unfinished = folder + ".unfinished";
            TransactionFiles.Write(unfinished, rows, files, Seed);
            Directory.Move(unfinished, folder);
        }
        return folder;
    }
}
