using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Support;
using Xunit.Abstractions;

namespace EndToEnd;

/// <summary>An Api and three workers that are told to keep a model open, at its latest version and at what an alias names.</summary>
public sealed class OnlineWorkers : IAsyncLifetime
{
    public const string Model = "fraud-detection-model";
    public const string Pinned = $"{Model}@live";

    public static readonly int[] Workers = [1, 2, 3];

    ProcessGroup? _group;

    public ProcessGroup Group => _group!;

    public async Task InitializeAsync()
    {
        _group = await ProcessGroup.StartAsync(new ProcessGroupLaunch(Apis: 1, Consumers: 0, Workers: Workers.Length)
        {
            Settings = new Dictionary<string, string>
            {
                ["Inference:Pinned:0"] = Pinned,
                ["Inference:Pinned:1"] = Model,
                // Whatever else the machine does.
                ["Api:InspectTimeout"] = "00:00:30",
                ["Logging:LogLevel:GpuWorker"] = "Information",
                // A line for each request that a worker has served.
                ["Logging:LogLevel:Microsoft.AspNetCore.Hosting.Diagnostics"] = "Information",
            },
        });
        await Eventually.TrueAsync(async () => (await Group.Http.GetAsync($"/api/v1/models/{Model}")).IsSuccessStatusCode, $"{Model} to be registered", TimeSpan.FromMinutes(2));
    }

    public async Task DisposeAsync()
    {
        if (_group is not null)
            await _group.DisposeAsync();
    }
}

[Trait("Category", "Server")]
public sealed partial class OnlineWorkersTests(OnlineWorkers workers, ITestOutputHelper output) : IClassFixture<OnlineWorkers>
{
    const int Callers = 4;
    const int Rows = 20;
    const int Features = 30;

    ProcessGroup Group => workers.Group;

    [Fact]
    public async Task Workers_open_what_a_pinned_alias_names_before_they_are_asked_and_follow_it_without_a_restart()
    {
        var file = await File.ReadAllBytesAsync(Path.Combine(PlatformFixture.Samples, "models", OnlineWorkers.Model, "model.onnx"));
        var first = Convert.ToHexStringLower(SHA256.HashData(file));
        await MoveAsync(first);
        foreach (var number in OnlineWorkers.Workers)
            await OpenAsync(number, first);

        // Another starts: by the time it is ready the model is open.
        await Group.KillAndStartAsync(OnlineWorkers.Workers[0]);
        await Group.Host(OnlineWorkers.Workers[0]).ReadyAsync();
        var health = await Group.Host(OnlineWorkers.Workers[0]).Http.GetFromJsonAsync<JsonElement>("/health");
        health.GetProperty("status").GetString().ShouldBe("healthy");
        health.GetProperty("model_loaded").GetBoolean().ShouldBeTrue();

        var served = OnlineWorkers.Workers.Sum(Served);
        var second = await RegisterAsync([.. file, .. Remark]);
        await MoveAsync(second);
        foreach (var number in OnlineWorkers.Workers)
            await OpenAsync(number, second);
        OnlineWorkers.Workers.Sum(Served).ShouldBe(served);
    }

    [Fact]
    public Task Callers_see_nothing_of_workers_that_are_killed_and_their_replacements_serve() => RunAsync(RunParameters.Of("SAGAS_KILLS", OnlineWorkers.Workers.Length));

    [Fact, Trait("Category", "Soak")]
    public Task Callers_see_nothing_of_sixty_workers_that_are_killed() => RunAsync(RunParameters.Of("SAGAS_KILLS", 60));

    /// <summary>One worker after the other, each once the one killed before is replaced and serves.</summary>
    async Task RunAsync(int kills)
    {
        var expected = await Task.WhenAll(Enumerable.Range(0, Rows).Select(async row => (await ScoreAsync(row)).Score!.Value));
        using var end = new CancellationTokenSource();
        var answers = new ConcurrentDictionary<string, int>();
        var callers = Enumerable.Range(0, Callers).Select(caller => CallAsync(caller, expected, answers, end.Token)).ToArray();
        try
        {
            for (var kill = 0; kill < kills; kill++)
            {
                var number = OnlineWorkers.Workers[kill % OnlineWorkers.Workers.Length];
                await Group.KillAndStartAsync(number);
                await Eventually.TrueAsync(() => Served(number) > Callers, "the replacement to serve", TimeSpan.FromMinutes(2));
            }
        }
        finally
        {
            await end.CancelAsync();
            await Task.WhenAll(callers);
        }

        output.WriteLine(string.Join(", ", answers.Select(answer => $"{answer.Key}: {answer.Value}")));
        answers.Keys.ShouldBe(["OK"]);
    }

    // One request after the other, without a pause.
    async Task CallAsync(int caller, double[] expected, ConcurrentDictionary<string, int> answers, CancellationToken end)
    {
        for (var i = caller; !end.IsCancellationRequested; i++)
        {
            var row = i % Rows;
            var (answer, score) = await ScoreAsync(row);
            var said = score is null ? answer : Math.Abs(score.Value - expected[row]) <= 1e-4 ? "OK" : $"row {row} scored {score} where it was {expected[row]}";
            answers.AddOrUpdate(said, 1, (_, n) => n + 1);
        }
    }

    async Task<(string Answer, double? Score)> ScoreAsync(int row)
    {
        var values = string.Join(',', Enumerable.Range(0, Features).Select(f => ((row * 31 + f * 7) % 400 / 100.0 - 2).ToString(CultureInfo.InvariantCulture)));
        using var answer = await Group.Http.PostAsync($"/api/v1/endpoints/{OnlineWorkers.Model}/score", new StringContent($$"""{"data":[{"features":[{{values}}]}]}""", Encoding.UTF8, "application/json"));
        var text = await answer.Content.ReadAsStringAsync();
        return answer.StatusCode == HttpStatusCode.OK
            ? ("", JsonDocument.Parse(text).RootElement.GetProperty("predictions")[0].GetProperty("score").GetDouble())
            : ($"{(int)answer.StatusCode} {text} Retry-After {answer.Headers.RetryAfter}", null);
    }

    async Task<string> RegisterAsync(byte[] file)
    {
        using var body = new ByteArrayContent(file) { Headers = { ContentType = new("application/octet-stream") } };
        using var answer = await Group.Http.PostAsync($"/api/v1/models?name={OnlineWorkers.Model}", body);
        answer.StatusCode.ShouldBe(HttpStatusCode.Created, await answer.Content.ReadAsStringAsync());
        return Convert.ToHexStringLower(SHA256.HashData(file));
    }

    async Task MoveAsync(string version)
    {
        using var moved = await Group.Http.PutAsJsonAsync($"/api/v1/models/{OnlineWorkers.Model}/aliases/live", new { version, reason = "Approved." });
        moved.IsSuccessStatusCode.ShouldBeTrue(await moved.Content.ReadAsStringAsync());
    }

    Task OpenAsync(int number, string version) =>
        Eventually.TrueAsync(() => Group.Host(number).Output.Contains($"Pinned {OnlineWorkers.Pinned} is open at {version}"), $"worker {number} to open {version}", TimeSpan.FromMinutes(1));

    int Served(int number) => ServedLine().Count(Group.Host(number).Output);

    // An entry of ModelProto.metadata_props, which may stand at the end of the file: another version that computes the same.
    static byte[] Remark => [0x72, 8, 0x0A, 2, .. "is"u8, 0x12, 2, .. "v2"u8];

    [GeneratedRegex(@"Request finished .*/score")]
    private static partial Regex ServedLine();
}
