using System.Net;
using Contracts;
using Contracts.BatchInference;
using Microsoft.EntityFrameworkCore;

namespace Api.Tests;

[Collection(nameof(ApiHost))]
[Trait("Category", "Server")]
public sealed class CompatibilityTests(ApiHost host)
{
    [Fact]
    public async Task Submits_with_the_older_body_and_tells_the_status_in_upper_case()
    {
        var response = await host.PostAsync("/api/v1/batch/inference",
            new { dataSource = Path.Combine(host.Inputs, "rows.parquet"), modelName = "risk", outputDestination = ApiHost.Uri(host.Outputs) });

        response.StatusCode.ShouldBe(HttpStatusCode.Accepted, await response.Content.ReadAsStringAsync());
        var id = (await response.JsonAsync()).GetProperty("jobId").GetGuid();
        var status = await (await host.Client.GetAsync($"/api/v1/batch/inference/{id}/status")).JsonAsync();
        status.GetProperty("status").GetString().ShouldBe("SUBMITTED");
        status.GetProperty("jobId").GetGuid().ShouldBe(id);
        var spec = await host.WithDbAsync(async db => WireJson.Read<BatchJobSpec>((await db.WorkJobs.SingleAsync(j => j.Id == id)).Spec));
        spec.BatchSize.ShouldBe(100_000);
    }

    [Theory]
    [InlineData("Completed", "COMPLETED")]
    [InlineData("Failed", "FAILED")]
    [InlineData("Scoring", "SCORING")]
    public async Task Shows_each_status_in_upper_case(string status, string shown)
    {
        var id = await host.AddJobAsync("Running", status);

        (await (await host.Client.GetAsync($"/api/v1/batch/inference/{id}/status")).JsonAsync()).GetProperty("status").GetString().ShouldBe(shown);
    }

    [Fact]
    public async Task Names_bad_fields_as_this_caller_calls_them()
    {
        var response = await host.PostAsync("/api/v1/batch/inference", new { dataSource = "s3://lake/rows.csv", modelName = "nobody", outputDestination = "/etc" });

        (await response.ProblemAsync(422, "unprocessable_request")).ShouldBe(new Dictionary<string, string>
        {
            ["dataSource"] = "uri_scheme_not_allowed",
            ["modelName"] = "model_unknown",
            ["outputDestination"] = "path_outside_roots",
        }, ignoreOrder: true);
        (await (await host.PostAsync("/api/v1/batch/inference", new { })).ProblemAsync(400, "field_missing")).Keys.ShouldBe(["modelName", "dataSource"], ignoreOrder: true);
        await (await host.Client.GetAsync($"/api/v1/batch/inference/{Guid.Empty}/status")).ProblemAsync(404, "job_not_found");
    }

    [Fact]
    public async Task Shows_models_and_health_on_their_older_paths()
    {
        var names = (await (await host.Client.GetAsync("/api/v1/batch-inference/models")).JsonAsync()).GetProperty("models").EnumerateArray().Select(m => m.GetProperty("name").GetString());
        names.ShouldContain("risk");
        (await (await host.Client.GetAsync("/api/v1/batch-inference/models/risk")).JsonAsync()).GetProperty("latest").GetProperty("version").GetString().ShouldBe(ApiHost.Version);
        await (await host.Client.GetAsync("/api/v1/batch-inference/models/nobody")).ProblemAsync(404, "model_not_found");
        foreach (var path in new[] { "/api/v1/batch-inference/health", "/actuator/health" })
            (await (await host.Client.GetAsync(path)).JsonAsync()).GetProperty("status").GetString().ShouldBe("UP");
    }

    [Theory]
    [InlineData("GET", "/api/v1/batch-inference/metrics/storage")]
    [InlineData("POST", "/api/v1/batch-inference/data/archive")]
    public async Task Has_no_routes_that_do_nothing_yet(string method, string path)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        (await host.Client.SendAsync(request)).StatusCode.ShouldBeOneOf(HttpStatusCode.NotFound, HttpStatusCode.MethodNotAllowed);
    }
}
