using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Support;
using Xunit.Abstractions;

namespace EndToEnd;

/// <summary>A platform at work keeps the memory it needs and takes no more: rows in bulk, requests one by one, models opened and closed.</summary>
[Trait("Category", "Server")]
public sealed class MemoryTests(ITestOutputHelper output) : IDisposable
{
    const string Model = "fraud-detection-model";
    const string Base = "memory-base";
    const int Variants = 8;
    const int OpenAtOnce = 3;
    const int Clients = 8;
    const int Features = 30;

    readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    // So short a run is still warming up: it shows that the long one works.
    [Fact]
    public Task Memory_stays_while_rows_requests_and_models_come_and_go() =>
        RunAsync(RunParameters.Of("SAGAS_ROWS", 200_000), RunParameters.Of("SAGAS_REQUESTS", 2_000), RunParameters.Of("SAGAS_LOADS", 20), growth: 2);

    [Fact, Trait("Category", "Soak")]
    public Task Memory_stays_over_forty_million_rows_four_hundred_thousand_requests_and_eight_hundred_models() =>
        RunAsync(RunParameters.Of("SAGAS_ROWS", 40_000_000), RunParameters.Of("SAGAS_REQUESTS", 400_000), RunParameters.Of("SAGAS_LOADS", 800), growth: 1.05);

    async Task RunAsync(int rows, int requests, int loads, double growth)
    {
        await using var platform = await StandaloneProcess.StartAsync(new StandaloneLaunch(_folder["data"])
        {
            Arguments = [$"--Inference:MaxWarmModels={OpenAtOnce}", "--Online:MaxQueued=10000"],
        });
        var http = new HttpPlatform(platform.Http);
        var features = await RegisterAsync(platform.Http);
        var input = Path.Combine(_folder["data"], "inputs", "rows.parquet");
        Tables.Write($"SELECT range AS id, {string.Join(", ", features.Select(feature => $"(random() * 4 - 2)::FLOAT AS {feature}"))} FROM range({rows / 10})", input);

        using var end = new CancellationTokenSource();
        var sampling = SampleAsync(platform.ProcessId, end.Token);
        await Task.WhenAll(ScoreTablesAsync(http, input, rows), ScoreOnlineAsync(platform.Http, requests, loads));
        await end.CancelAsync();

        var samples = await sampling;
        var (after, last) = (samples[(samples.Count / 5)..(samples.Count * 3 / 10)].Average(), samples[(samples.Count * 9 / 10)..].Average());
        output.WriteLine($"{rows:N0} rows, {requests:N0} requests, {loads:N0} loads: {after / 1024:N0} MiB after the first fifth, {last / 1024:N0} MiB in the last tenth, {last / after:P1}; {samples.Max() / 1024.0:N0} MiB at most");
        (last / after).ShouldBeLessThanOrEqualTo(growth);
    }

    static async Task ScoreTablesAsync(IPlatform platform, string input, int rows)
    {
        for (var done = 0; done < rows; done += rows / 10)
        {
            var job = await platform.RunAsync(new JobRequest($"{Base}-0", new JobFiles($"file://{input}"), ["id"]));
            job.Status.ShouldBe("Completed");
            job.Rows.Scored.ShouldBe(rows / 10);
            Directory.Delete(job.Folder, recursive: true);
        }
    }

    // Most requests are for one model; now and then another is asked for, which has to be opened, as three are kept.
    static async Task ScoreOnlineAsync(HttpClient http, int requests, int loads)
    {
        var next = -1;
        await Task.WhenAll(Enumerable.Range(0, Clients).Select(async _ =>
        {
            for (var i = Interlocked.Increment(ref next); i < requests; i = Interlocked.Increment(ref next))
            {
                var every = requests / loads;
                var variant = i % every == 0 ? 1 + i / every % (Variants - 1) : 0;
                var row = string.Join(',', Enumerable.Range(0, Features).Select(f => ((i * 31 + f * 7) % 400 / 100.0 - 2).ToString(CultureInfo.InvariantCulture)));
                using var answer = await http.PostAsync($"/api/v1/endpoints/{Base}-{variant}/score", new StringContent($$"""{"data":[{"features":[{{row}}]}]}""", Encoding.UTF8, "application/json"));
                answer.StatusCode.ShouldBe(HttpStatusCode.OK, await answer.Content.ReadAsStringAsync());
            }
        }));
    }

    /// <returns>Resident memory in KiB, four times a second.</returns>
    static async Task<List<double>> SampleAsync(int process, CancellationToken end)
    {
        var samples = new List<double>();
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(250));
        try
        {
            while (await pace.WaitForNextTickAsync(end))
                samples.Add(Resident(process));
        }
        catch (OperationCanceledException)
        {
            samples.Add(Resident(process));
        }
        return samples;
    }

    static double Resident(int process)
    {
        var line = File.ReadLines($"/proc/{process}/status").First(text => text.StartsWith("VmRSS:", StringComparison.Ordinal));
        return double.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
    }

    /// <returns>Names of the columns.</returns>
    static async Task<IReadOnlyList<string>> RegisterAsync(HttpClient http)
    {
        await Eventually.TrueAsync(async () => (await http.GetAsync($"/api/v1/models/{Model}")).IsSuccessStatusCode, $"{Model} to be registered");
        var file = await File.ReadAllBytesAsync(Path.Combine(PlatformFixture.Samples, "models", Model, "model.onnx"));
        for (var variant = 0; variant < Variants; variant++)
        {
            using var body = new ByteArrayContent([.. file, .. Metadata("variant", $"{variant}")]) { Headers = { ContentType = new("application/octet-stream") } };
            using var answer = await http.PostAsync($"/api/v1/models?name={Base}-{variant}", body);
            answer.StatusCode.ShouldBe(HttpStatusCode.Created, await answer.Content.ReadAsStringAsync());
        }
        var model = await http.GetFromJsonAsync<JsonElement>($"/api/v1/models/{Model}");
        return [.. model.GetProperty("latest").GetProperty("signature").GetProperty("features").EnumerateArray().Select(feature => feature.GetString()!)];
    }

    // An entry of ModelProto.metadata_props, which may stand at the end of the file.
    static byte[] Metadata(string key, string value)
    {
        byte[] entry = [0x0A, .. Text(key), 0x12, .. Text(value)];
        return [0x72, .. Length(entry.Length), .. entry];

        static byte[] Text(string text) => [.. Length(Encoding.UTF8.GetByteCount(text)), .. Encoding.UTF8.GetBytes(text)];

        static byte[] Length(int length) => length < 0x80 ? [(byte)length] : [(byte)(length | 0x80), .. Length(length >> 7)];
    }

    sealed class HttpPlatform(HttpClient http) : IPlatform
    {
        public HttpClient Http => http;

        public string Output => "";
    }
}
