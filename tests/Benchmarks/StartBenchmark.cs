using Npgsql;

namespace Benchmarks;

/// <summary>How soon a small job's first shard runs, on a platform that has run such jobs before. Both times are PostgreSQL's.</summary>
static class StartBenchmark
{
    const int Rows = 1_000;
    const int WarmUps = 10;

    internal static async Task RunAsync(BenchmarkOptions options)
    {
        var input = GeneratedInput.Folder(options, Rows, files: 1);
        await using var platform = await Platform.StartAsync(options);
        await using var database = await platform.ConnectAsync();
        var (starts, ends) = (new List<double>(), new List<double>());
        for (var run = -WarmUps; run < options.Jobs; run++)
        {
            var submitted = System.Diagnostics.Stopwatch.StartNew();
            var job = await platform.SubmitAsync(input);
            await platform.ManifestAsync(job);
            var end = submitted.Elapsed.TotalMilliseconds;
            await platform.CompletedAsync(job);
            await using var command = database.CreateCommand(
                """
                SELECT extract(epoch FROM min(u.started_at) - min(j.accepted_at))::float8 * 1000
                FROM sagas.work_jobs j JOIN sagas.work_units u ON u.job_id = j.id WHERE j.id = $1 AND u.unit >= 0
                """);
            command.Parameters.Add(new NpgsqlParameter { Value = job });
            var start = (double)(await command.ExecuteScalarAsync())!;
            if (run < 0)
                continue;
            starts.Add(start);
            ends.Add(end);
        }
        Console.WriteLine($"{options.Jobs} jobs of {Rows:N0} rows, one after the other, after {WarmUps} to warm up");
        Console.WriteLine();
        Console.WriteLine("| | p50 ms | p95 ms | most ms |");
        Console.WriteLine("|---|---|---|---|");
        Print("submit to first shard running", starts);
        Print("submit to manifest", ends);
        Console.WriteLine();
    }

    static void Print(string what, List<double> milliseconds) => Console.WriteLine(
        $"| {what} | {Machine.Median(milliseconds):0} | {Machine.Percentile(milliseconds, 0.95):0} | {milliseconds.Max():0} |");
}
