using System.Net.Http.Json;
using System.Text.Json;
using Npgsql;
using Support;

namespace EndToEnd;

/// <summary>The platform on RabbitMQ, and a program that knows nothing of it but the names of a queue and three exchanges.</summary>
[Trait("Category", "Server"), Collection(PlatformGroup.Name)]
public sealed class IntegrationTests(RabbitMqServer broker) : IClassFixture<RabbitMqServer>, IAsyncLifetime
{
    readonly TestFolder _folder = new();
    Platform? _platform;
    IntegratingSystem? _theirs;

    Platform Platform => _platform!;

    IntegratingSystem Theirs => _theirs!;

    public async Task InitializeAsync()
    {
        var virtualHost = await broker.CreateVirtualHostAsync();
        // It declares its exchanges before the platform is there.
        var (port, user, password) = (broker.Process.Port, broker.Process.Username, broker.Process.Password);
        _theirs = await IntegratingSystem.StartAsync($"amqp://{user}:{password}@127.0.0.1:{port}/{Uri.EscapeDataString(virtualHost)}");
        _platform = await Platform.StartAsync(new StandaloneLaunch(_folder["data"])
        {
            Environment = new Dictionary<string, string>
            {
                ["Messaging__Transport"] = "RabbitMq",
                ["Messaging__RabbitMq__Host"] = "127.0.0.1",
                ["Messaging__RabbitMq__Port"] = $"{port}",
                ["Messaging__RabbitMq__VirtualHost"] = virtualHost,
                ["Messaging__RabbitMq__Username"] = user,
                ["Messaging__RabbitMq__Password"] = password,
            },
        });
        // The first start registers the samples while it already serves.
        await Eventually.TrueAsync(
            async () => (await Platform.Http.GetAsync("/api/v1/models/fraud-detection-model")).IsSuccessStatusCode, "the samples to be registered", TimeSpan.FromMinutes(2));
    }

    public async Task DisposeAsync()
    {
        if (_theirs is not null)
            await _theirs.DisposeAsync();
        if (_platform is not null)
            await _platform.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task A_client_that_knows_only_AMQP_starts_jobs_and_hears_of_them()
    {
        var own = Guid.CreateVersion7().ToString();

        // Garbage first: what is behind it must not wait.
        await Theirs.PublishTextAsync("<order/>", new { contentType = "application/xml" });
        await Theirs.PublishAsync([0xFF, 0xFE, 0x00], new { contentType = "no type;;", messageId = "garbage-1", headers = new { MessageId = "other", nested = new { a = 1 } } });
        await Theirs.PublishTextAsync("", new { messageId = "garbage-2" });
        await Theirs.PublishTextAsync($"{{ \"jobId\": \"large\", \"x\": \"{new string('x', 300_000)}\" }}", new { messageId = "garbage-3" });
        await Theirs.PublishTextAsync($"{{ \"jobId\": \"deep\", \"x\": {new string('[', 5000)}{new string(']', 5000)} }}", new { messageId = "garbage-4" });
        await Theirs.PublishAsync(Request("bad", model: "nope-model", batchSize: 0));
        // With a name that is no UUID, twice; with a UUID; by message_id alone, twice; with no name at all, which makes two jobs; in MassTransit's envelope.
        await Theirs.PublishAsync(Request("orders-1"), new { contentType = "application/json" });
        await Theirs.PublishAsync(Request("orders-1"));
        await Theirs.PublishAsync(Request(own));
        await Theirs.PublishAsync(Request(null), new { messageId = "orders-2" });
        await Theirs.PublishAsync(Request(null), new { messageId = "orders-2" });
        await Theirs.PublishAsync(Request(null));
        await Theirs.PublishAsync(Request(null));
        await Theirs.PublishAsync(
            new { messageId = Guid.CreateVersion7(), messageType = new[] { "urn:message:Theirs:Score" }, message = Request("orders-3"), headers = new { } },
            new { contentType = "application/vnd.masstransit+json" });
        await Theirs.PublishAsync(Request("orders-1", batchSize: 5000));

        foreach (var reference in new[] { "orders-1", own, "orders-2", "orders-3" })
        {
            var started = await Theirs.EventAsync(reference, "batch-job-started");
            var completed = await Theirs.EventAsync(reference, "batch-job-completed");
            completed.Exchange.ShouldBe("batch-inference-output");
            completed.ContentType.ShouldBe("application/json");
            Guid.TryParse(completed.MessageId, out _).ShouldBeTrue();
            completed.MessageId.ShouldNotBe(started.MessageId);
            var body = completed.Body;
            body.GetProperty("type").GetString().ShouldBe("batch-job-completed");
            body.GetProperty("status").GetString().ShouldBe("Completed");
            body.GetProperty("rows").GetProperty("scored").GetInt64().ShouldBe(10_000);
            var job = await Platform.JobAsync(body.GetProperty("jobId").GetGuid());
            job.ManifestUri.ShouldBe(body.GetProperty("manifestUri").GetString());
            var published = Tables.Of(job, "record");
            (published.Rows, published.Keys).ShouldBe((10_000, 10_000));
            (await Platform.Http.GetAsync(body.GetProperty("links").GetProperty("self").GetString())).IsSuccessStatusCode.ShouldBeTrue();
        }

        (await Theirs.EventAsync(own, "batch-job-started")).Body.GetProperty("jobId").GetString().ShouldBe(own);
        await Eventually.TrueAsync(
            () => Theirs.Heard.Count(e => e.Type == "batch-job-completed" && e.Reference is null) == 2, "the end of two jobs without a name", TimeSpan.FromMinutes(2));

        var rejected = await Theirs.EventAsync("bad", "batch-job-rejected");
        rejected.Body.GetProperty("failure").GetProperty("fields").EnumerateArray().Select(f => f.GetProperty("field").GetString()).ShouldBe(["batchSize", "model"], ignoreOrder: true);
        (await Theirs.EventAsync("orders-1", "batch-job-rejected")).Body.GetProperty("failure").GetProperty("code").GetString().ShouldBe("job_id_reused");
        foreach (var (reference, code) in new[] { ("other", "malformed_json"), ("garbage-2", "malformed_json"), ("garbage-3", "body_too_large"), ("garbage-4", "json_too_deep") })
            (await Theirs.EventAsync(reference, "batch-job-rejected")).Body.GetProperty("failure").GetProperty("code").GetString().ShouldBe(code);

        var output = Theirs.Heard.Where(e => e.Exchange == "batch-inference-output").ToList();
        output.Count(e => e.Type == "batch-job-started").ShouldBe(6);
        output.Select(e => e.MessageId).ShouldBeUnique();
        (await JobsAsync()).ShouldBe(6);
        Theirs.Heard.Where(e => e.Exchange == "model-updates").Select(e => e.Body.GetProperty("model").GetString()).ShouldContain("fraud-detection-model");
        await Platform.ShouldKeepInvariantsAsync();
    }

    [Fact]
    public async Task Metrics_tell_of_a_job_while_it_runs_and_cancel_and_failure_are_told_too()
    {
        await Theirs.PublishAsync(Request("stopped", model: "credit-risk-model", table: "credit.parquet", batchSize: 20));
        var id = (await Theirs.EventAsync("stopped", "batch-job-started")).Body.GetProperty("jobId").GetGuid();

        var metric = await Theirs.EventAsync("stopped", "batch-job-progress");
        metric.Exchange.ShouldBe("batch-metrics");
        metric.Body.GetProperty("rowsTotal").GetInt64().ShouldBe(30_000);
        metric.Body.GetProperty("shardsTotal").GetInt32().ShouldBe(1500);
        using (var cancel = await Platform.Http.PostAsJsonAsync($"{BatchJobs.Route}/{id}/cancel", new { reason = "seen enough" }))
            cancel.IsSuccessStatusCode.ShouldBeTrue();

        var cancelled = (await Theirs.EventAsync("stopped", "batch-job-cancelled")).Body;
        cancelled.GetProperty("reason").GetString().ShouldBe("seen enough");
        var rows = cancelled.GetProperty("rows");
        (rows.GetProperty("scored").GetInt64() + rows.GetProperty("skipped").GetInt64()).ShouldBe(30_000);

        var broken = Path.Combine(Platform.Inputs, "broken.csv");
        await File.WriteAllTextAsync(broken, string.Join('\n', File.ReadLines(Path.Combine(PlatformFixture.Samples, "data", "transactions.csv")).Select((line, i) => i % 3 == 1 ? Spoil(line) : line)));
        await Theirs.PublishAsync(new { jobId = "failing", model = "fraud-detection-model", input = new { uri = new Uri(broken).AbsoluteUri } });
        var failed = (await Theirs.EventAsync("failing", "batch-job-failed")).Body;
        failed.GetProperty("failure").GetProperty("code").GetString().ShouldBe("error_threshold_exceeded");
    }

    [Fact]
    public async Task A_kill_loses_no_request_and_starts_none_twice()
    {
        var names = Enumerable.Range(1, 20).Select(i => $"orders-{i}").ToList();
        foreach (var name in names)
            await Theirs.PublishAsync(Request(name, batchSize: 10_000));
        await Theirs.EventAsync(names[0], "batch-job-started");

        await Platform.KillAsync();
        // A careful sender that is not sure says it again.
        foreach (var name in names)
            await Theirs.PublishAsync(Request(name, batchSize: 10_000));
        await Platform.StartAgainAsync();

        foreach (var name in names)
            await Theirs.EventAsync(name, "batch-job-completed");
        (await JobsAsync()).ShouldBe(20);
        foreach (var type in new[] { "batch-job-started", "batch-job-completed" })
            Theirs.Heard.Where(e => e.Type == type).DistinctBy(e => e.MessageId).Select(e => e.Reference).ShouldBe(names, ignoreOrder: true);
        Theirs.Heard.ShouldNotContain(e => e.Type == "batch-job-rejected");
        await Platform.ShouldKeepInvariantsAsync();
    }

    [Fact]
    public async Task Nobody_has_to_listen()
    {
        await Theirs.StopAsync();

        var job = await Platform.RunAsync(Scenarios.TenShards());

        job.Status.ShouldBe("Completed");
        // A message that waits in the outbox for a reader would be overdue.
        await Platform.ShouldKeepInvariantsAsync();
        await Eventually.TrueAsync(async () => (await OutboxAsync()) == 0, "an outbox without events that nobody reads");
    }

    async Task<long> OutboxAsync()
    {
        var text = (string name) => File.ReadAllText(Path.Combine(_folder["data"], name)).Trim();
        await using var connection = new NpgsqlConnection(
            $"Host=127.0.0.1;Port={File.ReadLines(Path.Combine(_folder["data"], "postgres", "cluster", "postmaster.pid")).ElementAt(3)};Username=postgres;Password={text("postgres-password")};Database=sagas;SSL Mode=Disable;Pooling=false");
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand("SELECT count(*) FROM messaging.outbox WHERE due_at IS NULL", connection);
        return (long)(await command.ExecuteScalarAsync())!;
    }

    static object Request(string? jobId, string model = "fraud-detection-model", string table = "transactions.parquet", int batchSize = 1000) =>
        new { jobId, model, batchSize, input = new { uri = Scenarios.Input(table).Uri } };

    static string Spoil(string line) => string.Join(',', line.Split(',').Select((value, i) => i == 0 ? value : "spoilt"));

    async Task<int> JobsAsync() => (await Platform.Http.GetFromJsonAsync<JsonElement>(BatchJobs.Route)).GetProperty("jobs").GetArrayLength();
}
