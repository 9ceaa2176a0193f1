using System.Diagnostics;
using System.Text;
using Support;

namespace Benchmarks;

/// <summary>
/// Requests of one row each, from clients that each wait for their answer: the model server with and without micro-batching, and a bare
/// Kestrel endpoint that calls ONNX Runtime once a request, in turn. Each server is a process of its own; the clients are this one.
/// </summary>
static class OnlineBenchmark
{
    const int Clients = 64;
    const int DistinctRows = 1000;
    const string Model = Platform.Model;
    const int Features = 30;

    internal static async Task RunAsync(BenchmarkOptions options)
    {
        var requests = Requests("/score");
        await using var batching = await StartAsync();
        await using var single = await StartAsync(("Online:MicroBatching", "false"));
        await using var bare = await BareServer.StartAsync(ModelFile);
        (string Name, Uri Address)[] servers = [("bare Kestrel and ONNX Runtime", bare.Address), ("model server, one request a run", single.Http.BaseAddress!), ("model server, micro-batches", batching.Http.BaseAddress!)];

        Console.WriteLine($"{Clients} clients of one row each, {Model}, {options.Seconds} s a round, a warm-up and {options.Runs} rounds, in turn");
        Console.WriteLine();
        var rounds = servers.ToDictionary(server => server.Name, _ => new List<LoadResult>());
        for (var run = 0; run <= options.Runs; run++)
            foreach (var (name, address) in servers)
            {
                var result = await Load.ClosedAsync(address, requests, Clients, TimeSpan.FromSeconds(options.Seconds));
                Console.Error.WriteLine($"{(run == 0 ? "warm-up" : $"round {run}")}, {name}: {result.PerSecond:N0}/s, p50 {result.P50:0.0} ms, p99 {result.P99:0.0} ms, {result.Failed} failed");
                if (run > 0)
                    rounds[name].Add(result);
            }

        Console.WriteLine("| server | requests/s | p50 ms | p99 ms | failed | against bare |");
        Console.WriteLine("|---|---|---|---|---|---|");
        var bareRate = Machine.Median(rounds[servers[0].Name].Select(r => r.PerSecond));
        foreach (var (name, results) in rounds)
        {
            var rate = Machine.Median(results.Select(r => r.PerSecond));
            Console.WriteLine($"| {name} | {rate:N0} | {Machine.Median(results.Select(r => r.P50)):0.0} | {Machine.Median(results.Select(r => r.P99)):0.0} | {results.Sum(r => r.Failed):N0} | {rate / bareRate:P0} |");
        }
        Console.WriteLine();
    }

    /// <summary>Many connections that stay open and ask now and then, from a process of their own.</summary>
    internal static async Task RunConnectionsAsync(BenchmarkOptions options)
    {
        await using var server = await StartAsync();
        using var clients = Process.Start(new ProcessStartInfo(
            Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet",
            [Path.Combine(AppContext.BaseDirectory, "Benchmarks.dll"), ManyConnections.Name, $"{server.Http.BaseAddress}", $"{options.Seconds}", $"{options.Rate}"]))!;
        await clients.WaitForExitAsync();
        if (clients.ExitCode != 0)
            throw new InvalidOperationException("The clients failed.");
    }

    internal static byte[][] Requests(string path)
    {
        var random = new Random(11);
        return [.. Enumerable.Range(0, DistinctRows).Select(_ =>
        {
            var body = $$"""{"data":[{"features":[{{string.Join(',', Enumerable.Range(0, Features).Select(_ => (random.NextDouble() * 4 - 2).ToString("0.####")))}}]}]}""";
            return Encoding.ASCII.GetBytes($"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}");
        })];
    }

    static string ModelFile => Path.Combine(BatchBenchmark.FindSamples(), "models", Model, "model.onnx");

    static async Task<HostProcess> StartAsync(params (string Name, string Value)[] settings)
    {
        var server = await HostProcess.StartAsync(new HostLaunch("GpuWorker", new Dictionary<string, string>(settings.Select(s => KeyValuePair.Create(s.Name, s.Value)))
        {
            ["DOTNET_TieredPGO"] = "1",
        })
        { Arguments = ["--serve-model", Path.GetDirectoryName(ModelFile)!] });
        await server.ReadyAsync();
        return server;
    }
}
