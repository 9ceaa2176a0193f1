using System.Net.Http.Json;
using System.Text.Json;
using Azure.Storage.Blobs;
using Azure.Storage.Blobs.Models;
using Support;

namespace EndToEnd;

/// <summary>Processes that share nothing but blobs, a cache folder, a database and a broker. The models are blobs too.</summary>
public sealed class BlobsFixture : IAsyncLifetime
{
    readonly AzuriteServer _server = new();
    readonly TestFolder _folder = new();
    ProcessGroup? _group;
    HostProcess? _worker;

    public AzuriteProcess Azurite => _server.Process;

    public BlobContainerClient Inputs { get; private set; } = null!;

    public BlobContainerClient Results { get; private set; } = null!;

    public BlobContainerClient Models { get; private set; } = null!;

    public ProcessGroup Group => _group!;

    public string Cache => _folder["cache"];

    public string WorkerOutput => _worker!.Output;

    public async Task InitializeAsync()
    {
        await _server.InitializeAsync();
        (Inputs, Results, Models) = (await Azurite.CreateContainerAsync(), await Azurite.CreateContainerAsync(), await Azurite.CreateContainerAsync());
        const string account = "Artifacts:Blob:Accounts:lake";
        _group = await ProcessGroup.StartAsync(new ProcessGroupLaunch(1, 1, 0)
        {
            Settings = new Dictionary<string, string>
            {
                [$"{account}:ConnectionString"] = Azurite.ConnectionString(),
                [$"{account}:Tenants:local:Inputs:0"] = $"{Inputs.Name}/ours",
                [$"{account}:Tenants:local:Outputs:0"] = $"{Results.Name}/ours",
                [$"{account}:Tenants:local:Models:0"] = Models.Name,
                ["Artifacts:ModelsRoot"] = $"az://{Models.Name}/registered",
                [$"{account}:Tenants:acme:Inputs:0"] = $"{Inputs.Name}/acme",
                [$"{account}:Tenants:acme:Outputs:0"] = $"{Results.Name}/acme",
                ["Artifacts:CacheFolder"] = Cache,
            },
        });
        await StartWorkerAsync();
        await Eventually.TrueAsync(
            async () => (await Group.Http.GetAsync("/api/v1/models/fraud-detection-model")).IsSuccessStatusCode, "the model to be registered", TimeSpan.FromMinutes(2));
    }

    /// <param name="cache">A folder of its own for copies.</param>
    public async Task StartWorkerAsync(string? cache = null)
    {
        var launch = Group.Launch(2);
        if (cache is not null)
            launch = launch with { Settings = new Dictionary<string, string>(launch.Settings) { ["Artifacts:CacheFolder"] = cache } };
        _worker = await HostProcess.StartAsync(launch);
        await _worker.ReadyAsync();
    }

    public async Task StopWorkerAsync()
    {
        if (_worker is not null)
            await _worker.DisposeAsync();
    }

    /// <summary>kill -9.</summary>
    public Task KillWorkerAsync() => _worker!.KillAsync();

    public async Task DisposeAsync()
    {
        await StopWorkerAsync();
        if (_group is not null)
            await _group.DisposeAsync();
        _folder.Dispose();
    }
}

/// <summary>Tables come from blobs and results go to blobs.</summary>
[Trait("Category", "Server")]
public sealed class BlobsTests(BlobsFixture fixture) : IClassFixture<BlobsFixture>, IDisposable
{
    const string Key = "transaction_id";

    readonly TestFolder _folder = new();
    readonly BlobContainerClient _inputs = fixture.Inputs;
    readonly BlobContainerClient _results = fixture.Results;
    readonly ProcessGroup _group = fixture.Group;

    public void Dispose() => _folder.Dispose();

    static JobRequest Request(JobFiles input, JobFiles? output = null) => new("fraud-detection-model", input, [Key]) { BatchSize = 1000, Output = output };

    JobFiles Blob(string name) => new($"az://{_inputs.Name}/{name}");

    JobFiles Results => new($"{_results.Uri}/ours/scored");

    static string Sample(string name) => Path.Combine(PlatformFixture.Samples, "data", name);

    async Task<Job> RunAsync(JobRequest request)
    {
        var job = await _group.RunAsync(request);
        job.Status.ShouldBe("Completed", $"{job}\n{fixture.WorkerOutput}");
        return job;
    }

    /// <returns>What is in the job's folder, by name below it.</returns>
    async Task<string[]> NamesAsync(Guid id)
    {
        List<string> names = [];
        await foreach (var blob in _results.GetBlobsAsync(BlobTraits.None, BlobStates.None, Prefix(id), default))
            names.Add(blob.Name[Prefix(id).Length..]);
        return [.. names];
    }

    /// <returns>Where they are here.</returns>
    async Task<string> DownloadAsync(Guid id, IEnumerable<string> names)
    {
        var folder = Directory.CreateDirectory(_folder[$"{id}"]).FullName;
        foreach (var name in names)
            await _results.GetBlobClient(Prefix(id) + name).DownloadToAsync(Path.Combine(folder, name));
        return folder;
    }

    static string Prefix(Guid id) => $"ours/scored/{id}/";

    // Keys out of text are text.
    static Fingerprint Scores(string folder) =>
        Tables.Of($"read_parquet('{folder}/part-*.parquet')", Key, $"struct_pack({Key} := {Key}::VARCHAR, label := label::BIGINT, score := score::FLOAT)");

    [Fact]
    public async Task The_same_rows_score_the_same_from_blobs_and_from_files()
    {
        await _inputs.GetBlobClient("ours/in/transactions.parquet").UploadAsync(Sample("transactions.parquet"));
        await _inputs.GetBlobClient("ours/text/transactions.csv").UploadAsync(Sample("transactions.csv"));
        var files = await RunAsync(Request(Scenarios.TenShards().Input));

        foreach (var input in new[] { Blob("ours/in/*.parquet"), new JobFiles($"az://{_inputs.Name}/ours/text", "csv") })
        {
            var job = await RunAsync(Request(input, Results));

            // What lost and what was converted goes one lease after the end.
            await Eventually.TrueAsync(async () => !(await NamesAsync(job.Id)).Any(name => name.StartsWith("_work/", StringComparison.Ordinal)), "the work folder to go");
            var names = await NamesAsync(job.Id);
            names.Length.ShouldBe(job.Progress.ShardsTotal + 1);
            names.ShouldAllBe(name => name == "_manifest.json" || name.StartsWith("part-", StringComparison.Ordinal));
            Scores(await DownloadAsync(job.Id, names)).ShouldBe(Scores(files.Folder));
            job.ManifestUri.ShouldBe($"{Results.Uri}/{job.Id}/_manifest.json");
            var results = await _group.Http.GetFromJsonAsync<JsonElement>($"{BatchJobs.Route}/{job.Id}/results");
            results.GetProperty("files").EnumerateArray().Select(f => f.GetString()![(Results.Uri!.Length + 38)..]).Order().ShouldBe(names.Order());
            var pinned = results.GetProperty("manifest").GetProperty("inputs")[0];
            pinned.GetProperty("eTag").GetString().ShouldNotBeNullOrEmpty();
        }
        await _group.ShouldKeepInvariantsAsync();
    }

    [Fact]
    public async Task A_worker_with_an_empty_cache_has_its_models_from_the_container()
    {
        await fixture.StopWorkerAsync();
        try
        {
            await fixture.StartWorkerAsync(_folder["cache"]);
            await RunAsync(Request(Scenarios.TenShards().Input));

            var latest = (await _group.Http.GetFromJsonAsync<JsonElement>("/api/v1/models/fraud-detection-model")).GetProperty("latest");
            var model = latest.GetProperty("version").GetString()!;
            List<string> names = [];
            await foreach (var blob in fixture.Models.GetBlobsAsync())
                names.Add(blob.Name);
            names.ShouldContain($"registered/@local/{model[..2]}/{model}.onnx");
            names.ShouldNotContain(name => name.Contains("/.incoming/", StringComparison.Ordinal));
            Directory.GetFiles(Path.Combine(_folder["cache"], "files")).Select(Path.GetFileName).ShouldBe([$"{model}.onnx"]);
            using var answer = await _group.Http.PostAsync("/api/v1/endpoints/fraud-detection-model/score", new StringContent(
                $$"""{"data":[{"features":[{{string.Join(',', Enumerable.Range(1, 30))}}]}]}""", System.Text.Encoding.UTF8, "application/json"));
            answer.IsSuccessStatusCode.ShouldBeTrue(await answer.Content.ReadAsStringAsync());
        }
        finally
        {
            await fixture.StopWorkerAsync();
            await fixture.StartWorkerAsync();
        }
        await _group.ShouldKeepInvariantsAsync();
    }

    [Fact]
    public async Task A_blob_that_changes_between_planning_and_scoring_fails_the_job_by_name()
    {
        var blob = _inputs.GetBlobClient("ours/changing.parquet");
        await blob.UploadAsync(Sample("transactions.parquet"));
        await fixture.StopWorkerAsync();
        var id = await _group.SubmitAsync(Request(Blob("ours/changing.parquet"), Results));
        await _group.JobOnceAsync(id, job => job.Progress.ShardsTotal > 0, "a plan");

        // As many bytes, and the same rows: only the ETag tells.
        await blob.UploadAsync(Sample("transactions.parquet"), overwrite: true);
        await fixture.StartWorkerAsync();

        var job = await _group.EndAsync(id);
        job.Status.ShouldBe("Failed", job.ToString());
        job.Failure!.Code.ShouldBe("input_changed");
        job.Failure.Message.ShouldContain("changing.parquet");
        (await NamesAsync(id)).ShouldNotContain("_manifest.json");
        await _group.ShouldKeepInvariantsAsync();
    }

    [Fact]
    public async Task A_worker_killed_while_it_fetches_leaves_nothing_that_is_taken_for_a_file()
    {
        await _inputs.GetBlobClient("ours/killed.parquet").UploadAsync(Sample("transactions.parquet"));
        var files = await RunAsync(Request(Scenarios.TenShards().Input));
        await fixture.StopWorkerAsync();
        var id = await _group.SubmitAsync(Request(Blob("ours/killed.parquet"), Results));
        await _group.JobOnceAsync(id, job => job.Progress.ShardsTotal > 0, "a plan");
        string[] Fetching() => Directory.GetFiles(Path.Combine(fixture.Cache, "fetching"));
        Fetching().ShouldBeEmpty();

        Signals.Send(fixture.Azurite.ProcessId, Signals.Pause);
        try
        {
            await fixture.StartWorkerAsync();
            await Eventually.TrueAsync(() => Fetching().Length == 1, "the fetch to begin");
            await fixture.KillWorkerAsync();
        }
        finally
        {
            Signals.Send(fixture.Azurite.ProcessId, Signals.Continue);
        }
        Fetching().Length.ShouldBe(1);
        await fixture.StopWorkerAsync();
        await fixture.StartWorkerAsync();

        var job = await _group.EndAsync(id);
        job.Status.ShouldBe("Completed", $"{job}\n{fixture.WorkerOutput}");
        Fetching().ShouldBeEmpty();
        var parts = (await NamesAsync(id)).Where(name => name.StartsWith("part-", StringComparison.Ordinal)).ToList();
        Scores(await DownloadAsync(id, parts)).ShouldBe(Scores(files.Folder));
        await _group.ShouldKeepInvariantsAsync();
    }

    [Fact]
    public async Task Another_tenants_prefix_another_account_and_a_signed_uri_are_refused_by_field()
    {
        await _inputs.GetBlobClient("acme/in.parquet").UploadAsync(Sample("transactions.parquet"));
        await _inputs.GetBlobClient("ours/in.parquet").UploadAsync(Sample("transactions.parquet"));
        var token = fixture.Azurite.SasToken(_inputs.Name, TimeProvider.System.GetUtcNow());
        (string Field, string Code, JobRequest Request)[] wrong =
        [
            ("input.uri", "path_outside_roots", Request(Blob("acme/in.parquet"))),
            ("input.uri", "path_outside_roots", Request(Blob("ours/%2e%2e/acme/in.parquet"))),
            ("input.uri", "uri_host_not_allowed", Request(new JobFiles($"{fixture.Azurite.Endpoint(AzuriteProcess.OtherAccount)}/{_inputs.Name}/ours/in.parquet"))),
            ("input.uri", "uri_query_not_allowed", Request(new JobFiles($"{_inputs.Uri}/ours/in.parquet?{token}"))),
            ("output.uri", "path_outside_roots", Request(Blob("ours/in.parquet"), new JobFiles($"az://{_results.Name}/acme"))),
            ("output.uri", "path_outside_roots", Request(Blob("ours/in.parquet"), Blob("ours"))),
            ("output.uri", "uri_query_not_allowed", Request(Blob("ours/in.parquet"), new JobFiles($"{_results.Uri}/ours?{token}"))),
        ];

        foreach (var (field, code, request) in wrong)
        {
            using var answer = await _group.PostAsync(request);
            var body = await answer.Content.ReadAsStringAsync();
            ((int)answer.StatusCode).ShouldBe(422, body);
            var error = JsonDocument.Parse(body).RootElement.GetProperty("errors").EnumerateArray().ShouldHaveSingleItem();
            (error.GetProperty("field").GetString(), error.GetProperty("code").GetString()).ShouldBe((field, code), body);
            body.ShouldNotContain("sig=");
        }
        _group.Output.ShouldNotContain("sig=");
    }
}
