using System.Net;
using Npgsql;

namespace Api.Tests;

[Collection(nameof(ApiHost))]
[Trait("Category", "Server")]
public sealed class DescriptionTests(ApiHost host)
{
    [Fact]
    public async Task Describes_every_route_with_an_id_and_a_summary()
    {
        var document = await (await host.Client.GetAsync("/openapi/v1.json")).JsonAsync();

        var paths = document.GetProperty("paths").EnumerateObject().ToList();
        paths.Select(p => p.Name).ShouldBe(
        [
            "/api/v1/batch-inference/jobs", "/api/v1/batch-inference/jobs/{id}", "/api/v1/batch-inference/jobs/{id}/shards", "/api/v1/batch-inference/jobs/{id}/results",
            "/api/v1/batch-inference/jobs/{id}/events", "/api/v1/batch-inference/jobs/{id}/cancel", "/api/v1/models", "/api/v1/models/{name}",
            "/api/v1/models/{name}/versions/{version}", "/api/v1/models/{name}/versions/{version}/signature", "/api/v1/models/{name}/versions/{version}/download",
            "/api/v1/models/{name}/versions/{version}/adapters", "/api/v1/models/{name}/aliases", "/api/v1/models/{name}/aliases/{alias}", "/api/v1/models/{name}/aliases/{alias}/history", "/api/v1/endpoints/{name}/score", "/api/v1/endpoints/{name}/openapi.json", "/api/v1/operations/invariants", "/api/v1/operations/dead-letters",
            "/api/v1/operations/dead-letters/{id}", "/api/v1/operations/dead-letters/{id}/requeue",
            "/api/v1/operations/api-keys", "/api/v1/operations/api-keys/{id}", "/api/v1/operations/api-keys/{id}/rotate", "/api/v1/operations/api-keys/{id}/revoke",
            "/api/v1/operations/audit", "/api/v1/operations/audit/verify", "/api/v1/batch/inference", "/api/v1/batch/inference/{jobId}/status",
            "/api/v1/batch-inference/models", "/api/v1/batch-inference/models/{name}", "/api/v1/batch-inference/models/cache/clear", "/api/v1/batch-inference/health", "/actuator/health", "/info",
        ], ignoreOrder: true);
        var operations = paths.SelectMany(p => p.Value.EnumerateObject()).Select(o => o.Value).ToList();
        operations.ShouldAllBe(o => o.GetProperty("summary").GetString() != "" && o.GetProperty("responses").EnumerateObject().Any());
        operations.Select(o => o.GetProperty("operationId").GetString()).ShouldBeUnique();
        document.GetProperty("paths").GetProperty("/api/v1/batch-inference/jobs").GetProperty("post").GetProperty("parameters")[0].GetProperty("name").GetString().ShouldBe("Idempotency-Key");
        document.GetProperty("components").GetProperty("schemas").TryGetProperty("SubmitBatchJobRequest", out _).ShouldBeTrue();
    }

    [Fact]
    public async Task Has_a_page_to_begin_with_whose_links_lead_somewhere()
    {
        var page = await host.Client.GetStringAsync("/");

        foreach (var path in new[] { "/api/v1/batch-inference/jobs", "/api/v1/models", "/api/v1/operations/invariants", "/openapi/v1.json", "/info" })
        {
            page.ShouldContain($"href=\"{path}\"");
            (await host.Client.GetAsync(path)).StatusCode.ShouldBe(HttpStatusCode.OK, path);
        }
    }

    [Fact]
    public async Task Tells_its_versions() =>
        (await (await host.Client.GetAsync("/info")).JsonAsync()).GetProperty("parts")[0].GetProperty("version").GetString().ShouldStartWith("v1.");

    [Fact]
    public async Task Says_come_back_later_while_the_database_is_away()
    {
        var nowhere = new NpgsqlConnectionStringBuilder { Host = "127.0.0.1", Port = 1, Username = "nobody", Database = "none", Timeout = 2 };
        await using var app = host.Build(nowhere.ConnectionString);
        await app.StartAsync();
        using var client = new HttpClient { BaseAddress = new Uri(app.Urls.First()) };

        foreach (var path in new[] { "/api/v1/batch-inference/jobs", "/api/v1/models", $"/api/v1/batch-inference/jobs/{Guid.Empty}", "/api/v1/operations/invariants" })
        {
            var response = await client.GetAsync(path);
            await response.ProblemAsync(503, "database_unavailable");
            response.Headers.RetryAfter!.Delta.ShouldBe(TimeSpan.FromSeconds(5));
        }

        await app.StopAsync();
    }
}
