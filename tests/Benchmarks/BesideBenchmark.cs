namespace Benchmarks;

/// <summary>
/// Requests of one row each through the API at a steady rate: alone, and while a batch job with the same model has every processor, in turn.
/// One process is the platform, this one is the clients, on the same machine.
/// </summary>
static class BesideBenchmark
{
    const int Connections = 2_000;

    internal static async Task RunAsync(BenchmarkOptions options)
    {
        var rows = options.Rows[^1];
        var input = GeneratedInput.Folder(options, rows);
        await using var platform = await Platform.StartAsync(options);
        var requests = OnlineBenchmark.Requests($"/api/v1/endpoints/{Platform.Model}/score");
        var connections = await Task.WhenAll(Enumerable.Range(0, Connections).Select(_ => Load.Connection.OpenAsync(platform.Address)));
        var time = TimeSpan.FromSeconds(options.Seconds);
        await Load.OpenAsync(connections, requests, options.Rate, time);

        Console.WriteLine($"{options.Rate} requests/s for {options.Seconds} s, {options.Runs} times alone and {options.Runs} times beside jobs of {rows:N0} rows, in turn");
        Console.WriteLine();
        Console.WriteLine("| | requests/s | p50 ms | p99 ms | failed |");
        Console.WriteLine("|---|---|---|---|---|");
        var (alone, beside) = (new List<LoadResult>(), new List<LoadResult>());
        for (var run = 0; run < options.Runs; run++)
        {
            alone.Add(await Load.OpenAsync(connections, requests, options.Rate, time));
            Print("alone", alone[^1]);
            using var end = new CancellationTokenSource();
            var jobs = KeepBusyAsync(platform, input, rows, end.Token);
            beside.Add(await Load.OpenAsync(connections, requests, options.Rate, time));
            await end.CancelAsync();
            Print("beside a batch job", beside[^1]);
            Console.Error.WriteLine($"round {run + 1}: {await jobs:N0} rows in jobs that were done");
        }
        Console.WriteLine();
        Console.WriteLine($"Medians: p50 {Machine.Median(alone.Select(r => r.P50)):0.0} and {Machine.Median(beside.Select(r => r.P50)):0.0} ms, "
            + $"p99 {Machine.Median(alone.Select(r => r.P99)):0.0} and {Machine.Median(beside.Select(r => r.P99)):0.0} ms, "
            + $"{alone.Sum(r => r.Failed) + beside.Sum(r => r.Failed):N0} failed");
        Console.WriteLine();
        foreach (var connection in connections)
            connection.Dispose();
    }

    // One job after the other; the last is let come to its end.
    static async Task<long> KeepBusyAsync(Platform platform, string input, long rows, CancellationToken end)
    {
        var scored = 0L;
        while (!end.IsCancellationRequested)
        {
            var (done, folder) = await platform.CompletedAsync(await platform.SubmitAsync(input));
            if (done != rows)
                throw new InvalidOperationException($"The platform scored {done:N0} of {rows:N0} rows.");
            Directory.Delete(folder, recursive: true);
            scored += done;
        }
        return scored;
    }

    static void Print(string what, LoadResult result) =>
        Console.WriteLine($"| {what} | {result.PerSecond:N0} | {result.P50:0.0} | {result.P99:0.0} | {result.Failed:N0} |");
}
