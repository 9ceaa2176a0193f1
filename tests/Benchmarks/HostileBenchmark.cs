using System.Diagnostics;
using System.Net.Http.Json;
using System.Text.Json;
using Support;

namespace Benchmarks;

/// <summary>
/// What a quiet tenant notices of a hostile one: the same requests at a steady rate, alone and beside clients that do their worst in a
/// process of their own, in turn. Both are on the same machine, so the hostile clients' own work is in the figures too.
/// </summary>
static class HostileBenchmark
{
    const int Rate = 50;
    const string Jobs = "api/v1/batch-inference/jobs";

    internal static async Task RunAsync(BenchmarkOptions options)
    {
        Directory.CreateDirectory(options.Folder);
        using var folder = new TestFolder(options.Folder);
        var keyFile = folder["administrator.key"];
        await using var process = await StandaloneProcess.StartAsync(new StandaloneLaunch(folder["data"])
        {
            Profile = "Production",
            Environment = new Dictionary<string, string> { ["DOTNET_TieredPGO"] = "1" },
            Arguments = ["--Authentication:ApiKeys:Enabled=true", $"--Authentication:ApiKeys:AdministratorKeyFile={keyFile}"],
        });
        await Eventually.TrueAsync(() => File.Exists(keyFile) && new FileInfo(keyFile).Length > 0, "the administrator's key");
        using var administrator = Client(process, (await File.ReadAllTextAsync(keyFile)).Trim());
        using var quiet = Client(process, await CreateKeyAsync(administrator, "quiet", "viewer"));
        // One that gets as far as the bodies.
        var hostile = await CreateKeyAsync(administrator, "hostile", "operator");

        // Both ways before anything counts, until nearly all is compiled: what is measured is a server that runs.
        await MeasureAsync(quiet, TimeSpan.FromSeconds(3), default);
        var (alone, beside) = (new List<Latencies>(), new List<Latencies>());
        var counts = new SortedDictionary<string, long>(StringComparer.Ordinal);
        for (var warmUp = 0; warmUp < 2; warmUp++)
            await BesideAsync();
        counts.Clear();
        Console.WriteLine($"{Rate} requests/s of the quiet tenant for {options.Seconds} s, {options.Runs} times alone and {options.Runs} times beside the hostile clients, in turn");
        Console.WriteLine();
        Console.WriteLine("| | p50 ms | p99 ms | answered | failed |");
        Console.WriteLine("|---|---|---|---|---|");
        for (var run = 0; run < options.Runs; run++)
        {
            alone.Add(await MeasureAsync(quiet, TimeSpan.FromSeconds(options.Seconds), default));
            Console.WriteLine($"| alone | {alone[^1]}");
            beside.Add(await BesideAsync());
            Console.WriteLine($"| beside | {beside[^1]}");
        }

        var (aloneP99, besideP99) = (Machine.Median(alone.Select(l => l.P99)), Machine.Median(beside.Select(l => l.P99)));
        Console.WriteLine();
        Console.WriteLine($"Median p50: {Machine.Median(alone.Select(l => l.P50)):0.0} ms alone, {Machine.Median(beside.Select(l => l.P50)):0.0} ms beside");
        Console.WriteLine($"Median p99: {aloneP99:0.0} ms alone, {besideP99:0.0} ms beside: {besideP99 / aloneP99:0.0} times");
        Console.WriteLine();
        Console.WriteLine("| hostile clients, all rounds | count |");
        Console.WriteLine("|---|---|");
        foreach (var (what, count) in counts)
            Console.WriteLine($"| {what} | {count:N0} |");
        Console.WriteLine();

        async Task<Latencies> BesideAsync()
        {
            using var clients = Start(process.Http.BaseAddress!, hostile, options.Seconds);
            // It says so when its connections are open.
            if (await clients.StandardOutput.ReadLineAsync() is not HostileClients.Ready)
                throw new InvalidOperationException("The hostile clients did not start.");
            var latencies = await MeasureAsync(quiet, TimeSpan.FromSeconds(options.Seconds), default);
            var counted = await clients.StandardOutput.ReadToEndAsync();
            await clients.WaitForExitAsync();
            foreach (var (what, count) in JsonSerializer.Deserialize<Dictionary<string, long>>(counted)!)
                counts[what] = counts.GetValueOrDefault(what) + count;
            return latencies;
        }
    }

    static HttpClient Client(StandaloneProcess process, string key)
    {
        var client = new HttpClient { BaseAddress = process.Http.BaseAddress };
        client.DefaultRequestHeaders.Add("X-Api-Key", key);
        return client;
    }

    static async Task<string> CreateKeyAsync(HttpClient administrator, string tenant, string scope)
    {
        using var answer = await administrator.PostAsJsonAsync(
            "api/v1/operations/api-keys", new { name = tenant, scopes = new[] { scope }, tenant, reason = "To measure." });
        var body = await answer.Content.ReadFromJsonAsync<JsonElement>();
        return answer.IsSuccessStatusCode ? body.GetProperty("key").GetString()! : throw new InvalidOperationException($"No key was made: {body}");
    }

    // They would be on machines of their own. On this one they get what the platform and the quiet caller leave of the processors.
    static Process Start(Uri server, string key, int seconds) => Process.Start(new ProcessStartInfo(
        "nice",
        ["-n", "19", Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet", Path.Combine(AppContext.BaseDirectory, "Benchmarks.dll"), HostileClients.Name, $"{server}", $"{seconds}"])
    {
        RedirectStandardOutput = true,
        Environment = { [HostileClients.KeyVariable] = key },
    })!;

    // The next request does not wait for the last: a slow answer must not make its successors fewer.
    static async Task<Latencies> MeasureAsync(HttpClient client, TimeSpan time, CancellationToken cancellationToken)
    {
        var requests = new List<Task<double?>>();
        using var pace = new PeriodicTimer(TimeSpan.FromSeconds(1.0 / Rate));
        var since = Stopwatch.StartNew();
        while (since.Elapsed < time)
        {
            await pace.WaitForNextTickAsync(cancellationToken);
            // A tick that came late stands for those it swallowed.
            while (requests.Count < since.Elapsed.TotalSeconds * Rate)
                requests.Add(AskAsync(client));
        }

        var answers = await Task.WhenAll(requests);
        var good = answers.OfType<double>().ToList();
        return new Latencies(Machine.Median(good), Machine.Percentile(good, 0.99), good.Count, answers.Length - good.Count);
    }

    /// <returns>Milliseconds; null when it was not served.</returns>
    static async Task<double?> AskAsync(HttpClient client)
    {
        var asked = Stopwatch.GetTimestamp();
        try
        {
            using var answer = await client.GetAsync(Jobs);
            return answer.IsSuccessStatusCode ? Stopwatch.GetElapsedTime(asked).TotalMilliseconds : null;
        }
        catch (HttpRequestException)
        {
            return null;
        }
    }

    sealed record Latencies(double P50, double P99, int Answered, int Failed)
    {
        public override string ToString() => $"{P50:0.0} | {P99:0.0} | {Answered:N0} | {Failed:N0} |";
    }
}
