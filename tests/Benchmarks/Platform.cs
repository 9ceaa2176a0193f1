using System.Net.Http.Json;
using System.Text.Json;
using Npgsql;
using Support;

namespace Benchmarks;

/// <summary>A Standalone in a process of its own, used over HTTP like anybody would. PostgreSQL is as durable as delivered.</summary>
sealed class Platform : IAsyncDisposable
{
    internal const string Model = "fraud-detection-model";
    const string Jobs = "api/v1/batch-inference/jobs";
    static readonly TimeSpan Longest = TimeSpan.FromMinutes(30);
    static readonly TimeSpan BetweenQuestions = TimeSpan.FromSeconds(5);

    readonly StandaloneProcess process;
    readonly TestFolder folder;

    Platform(StandaloneProcess process, TestFolder folder) => (this.process, this.folder) = (process, folder);

    internal Uri Address => process.Http.BaseAddress!;

    internal static async Task<Platform> StartAsync(BenchmarkOptions options)
    {
        Directory.CreateDirectory(options.Folder);
        var folder = new TestFolder(options.Folder);
        var process = await StandaloneProcess.StartAsync(new StandaloneLaunch(folder["data"])
        {
            Profile = "Production",
            // As delivered, like the code of the other side in this process; tests switch it off to start faster.
            Environment = new Dictionary<string, string> { ["DOTNET_TieredPGO"] = "1" },
            Arguments = [$"--Artifacts:InputRoots:9={Path.Combine(options.Folder, "inputs")}"],
        });
        var platform = new Platform(process, folder);
        await Eventually.TrueAsync(async () => (await process.Http.GetAsync($"api/v1/models/{Model}")).IsSuccessStatusCode, $"{Model} to be registered");
        return platform;
    }

    internal async Task<Guid> SubmitAsync(string input, int? batchSize = null)
    {
        using var answer = await process.Http.PostAsJsonAsync(
            Jobs, new { model = Model, input = new { uri = new Uri(input).AbsoluteUri, format = "parquet" }, keyColumns = new[] { "id" }, batchSize });
        var body = await answer.Content.ReadFromJsonAsync<JsonElement>();
        return answer.IsSuccessStatusCode ? body.GetProperty("id").GetGuid() : throw new InvalidOperationException($"The job was refused: {body}");
    }

    /// <summary>
    /// Waits until the job's manifest lies there, by looking at the folder: asking over HTTP would be work for what is measured.
    /// A job that fails is found out by <see cref="CompletedAsync"/>.
    /// </summary>
    internal Task ManifestAsync(Guid job)
    {
        var manifest = Path.Combine(process.DataFolder, "results", "@local", $"{job}", "_manifest.json");
        var asked = System.Diagnostics.Stopwatch.StartNew();
        return Eventually.TrueAsync(
            async () =>
            {
                if (File.Exists(manifest))
                    return true;
                if (asked.Elapsed < BetweenQuestions)
                    return false;
                asked.Restart();
                return await StatusAsync(job) is "Failed" or "Cancelled";
            },
            $"the manifest of job {job}", Longest);
    }

    /// <summary>Waits until the job is completed and gives its rows scored, and the folder of its result.</summary>
    internal async Task<(long Scored, string Folder)> CompletedAsync(Guid job)
    {
        await Eventually.TrueAsync(
            async () => await StatusAsync(job) is "Completed" or "CompletedWithErrors" or "Failed" or "Cancelled", $"the end of job {job}", Longest);
        var view = await process.Http.GetFromJsonAsync<JsonElement>($"{Jobs}/{job}");
        return view.GetProperty("status").GetString() == "Completed"
            ? (view.GetProperty("rows").GetProperty("scored").GetInt64(), Path.GetDirectoryName(new Uri(view.GetProperty("manifestUri").GetString()!).LocalPath)!)
            : throw new InvalidOperationException($"The job did not complete: {view}");
    }

    async Task<string?> StatusAsync(Guid job) =>
        (await process.Http.GetFromJsonAsync<JsonElement>($"{Jobs}/{job}")).GetProperty("status").GetString();

    /// <summary>To the platform's own database.</summary>
    internal async Task<NpgsqlDataSource> ConnectAsync()
    {
        var server = await File.ReadAllLinesAsync(Path.Combine(process.DataFolder, "postgres", "cluster", "postmaster.pid"));
        var password = await File.ReadAllTextAsync(Path.Combine(process.DataFolder, "postgres-password"));
        return NpgsqlDataSource.Create(
            $"Host=127.0.0.1;Port={server[3]};Username=postgres;Password={password.Trim()};Database=sagas;Application Name=benchmarks");
    }

    /// <summary>Most memory the process has held since its start or the last <see cref="ForgetPeak"/>, in bytes. PostgreSQL is another process.</summary>
    internal long PeakMemory()
    {
        var line = File.ReadLines($"/proc/{process.ProcessId}/status").First(l => l.StartsWith("VmHWM:", StringComparison.Ordinal));
        return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1]) * 1024;
    }

    /// <summary>Of the process, without PostgreSQL's.</summary>
    internal TimeSpan CpuTime
    {
        get
        {
            using var standalone = System.Diagnostics.Process.GetProcessById(process.ProcessId);
            return standalone.TotalProcessorTime;
        }
    }

    internal void ForgetPeak() => File.WriteAllText($"/proc/{process.ProcessId}/clear_refs", "5");

    public async ValueTask DisposeAsync()
    {
        await process.DisposeAsync();
        folder.Dispose();
    }
}
