namespace Benchmarks;

/// <param name="Rows">Of the input; 40,000,000 are 4 files of 10,000,000.</param>
/// <param name="Runs">Measured after one warm-up; the median counts.</param>
/// <param name="Jobs">Small jobs whose start is measured.</param>
/// <param name="Rate">Schedules due, or requests sent, a second.</param>
/// <param name="Seconds">For how long.</param>
/// <param name="Sagas">Of each configuration and round.</param>
/// <param name="Peers">Folder with the peers; empty: without them.</param>
/// <param name="Folder">For generated inputs, which are kept, and data folders, which are not.</param>
sealed record BenchmarkOptions(IReadOnlyList<long> Rows, int Runs, int Jobs, IReadOnlyList<int> Shards, int Rate, int Seconds, int Sagas, string Peers, string Folder)
{
    internal static BenchmarkOptions Parse(ReadOnlySpan<string> args)
    {
        var options = new BenchmarkOptions(
            [10_000_000, 40_000_000], 5, 50, [10, 1_000, 10_000], 1_000, 30, 4_000, "", Path.Combine(Path.GetTempPath(), "sagas-benchmarks"));
        for (var i = 0; i + 1 < args.Length; i += 2)
        {
            var value = args[i + 1];
            options = args[i] switch
            {
                "--rows" => options with { Rows = [.. value.Split(',').Select(long.Parse)] },
                "--runs" => options with { Runs = int.Parse(value) },
                "--jobs" => options with { Jobs = int.Parse(value) },
                "--shards" => options with { Shards = [.. value.Split(',').Select(int.Parse)] },
                "--rate" => options with { Rate = int.Parse(value) },
                "--seconds" => options with { Seconds = int.Parse(value) },
                "--sagas" => options with { Sagas = int.Parse(value) },
                "--peers" => options with { Peers = Path.GetFullPath(value) },
                "--folder" => options with { Folder = Path.GetFullPath(value) },
                _ => throw new ArgumentException($"Cannot make sense of {args[i]}."),
            };
        }
        return args.Length % 2 == 0 ? options : throw new ArgumentException($"{args[^1]} needs a value.");
    }
}
