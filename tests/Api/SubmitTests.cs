using System.Net;
using Contracts;
using Contracts.BatchInference;
using Microsoft.EntityFrameworkCore;
using Support;

namespace Api.Tests;

[Collection(nameof(ApiHost))]
[Trait("Category", "Server")]
public sealed class SubmitTests(ApiHost host)
{
    readonly object _input = new { uri = ApiHost.Uri(host.Inputs, "rows.parquet") };

    [Fact]
    public async Task Accepts_a_job_with_its_message()
    {
        var response = await host.SubmitAsync(new { model = "risk", input = _input, keyColumns = new[] { "id" }, batchSize = 100, priority = 5 });

        response.StatusCode.ShouldBe(HttpStatusCode.Accepted, await response.Content.ReadAsStringAsync());
        var body = await response.JsonAsync();
        var id = body.GetProperty("id").GetGuid();
        body.GetProperty("status").GetString().ShouldBe("Submitted");
        response.Headers.Location!.ToString().ShouldBe($"/api/v1/batch-inference/jobs/{id}");
        await Eventually.TrueAsync(() => host.Submitted.ContainsKey(id), "SubmitBatchJob");

        var job = await (await host.Client.GetAsync(response.Headers.Location)).JsonAsync();
        job.GetProperty("status").GetString().ShouldBe("Submitted");
        job.GetProperty("model").GetProperty("version").GetString().ShouldBe(ApiHost.Version);
        job.GetProperty("progress").GetProperty("percent").GetDouble().ShouldBe(0);
        job.GetProperty("batchSize").GetInt32().ShouldBe(100);

        var spec = await host.WithDbAsync(async db => WireJson.Read<BatchJobSpec>((await db.WorkJobs.SingleAsync(j => j.Id == id)).Spec));
        spec.Mapping.Inputs.Single().Columns.ShouldBe(["age", "income"]);
        spec.Output.ShouldBe(new OutputSpec(ApiHost.Uri(host.Outputs, "@local"), "parquet"));
        spec.DeadlineSeconds.ShouldBe(3600);
        spec.MaxErrorRate.ShouldBe(0.01);
    }

    [Fact]
    public async Task Fixes_the_version_that_is_latest_now()
    {
        var other = new string('b', 64);
        await host.AddModelAsync("two-versions", ApiHost.Version);
        await host.WithDbAsync(async db => await db.Models.Where(m => m.Name == "two-versions").ExecuteUpdateAsync(
            s => s.SetProperty(m => m.RegisteredAt, DateTimeOffset.UnixEpoch.AddDays(-1))));
        await host.AddModelAsync("two-versions", other);

        (await VersionAsync(new { model = "two-versions", input = _input })).ShouldBe(other);
        (await VersionAsync(new { model = "two-versions@latest", input = _input })).ShouldBe(other);
        (await VersionAsync(new { model = $"two-versions@{ApiHost.Version}", input = _input })).ShouldBe(ApiHost.Version);
        (await VersionAsync(new { model = "two-versions", modelVersion = ApiHost.Version, input = _input })).ShouldBe(ApiHost.Version);
    }

    [Fact]
    public async Task Takes_a_model_type_for_the_model_on_its_sample_input()
    {
        await host.AddModelAsync("risk-model", ApiHost.Version);

        var job = await SubmittedAsync(new { modelType = "risk" });

        job.BatchSize.ShouldBe(100_000);
        job.Model.Name.ShouldBe("risk-model");
        job.Input.Uri.ShouldBe(ApiHost.Uri(host.Inputs, "rows.parquet"));
        (await SubmittedAsync(new { modelType = "risk", batchSize = 10_000 })).BatchSize.ShouldBe(10_000);
    }

    [Fact]
    public async Task Maps_the_features_that_the_request_lists()
    {
        await host.AddModelAsync("untold", ApiHost.Version, ApiHost.TwoFeatures with { Features = null });

        var job = await SubmittedAsync(new { model = "untold", input = _input, features = new[] { "income", "age" } });

        job.Mapping.Inputs.Single().Columns.ShouldBe(["income", "age"]);
    }

    [Fact]
    public async Task Lists_jobs_newest_first_in_pages_by_status()
    {
        for (var i = 0; i < 5; i++)
            await host.AddJobAsync("Queued", "Queued");

        var seen = new List<Guid>();
        var next = "";
        do
        {
            var page = await (await host.Client.GetAsync($"/api/v1/batch-inference/jobs?status=Queued&limit=2{next}")).JsonAsync();
            seen.AddRange(page.GetProperty("jobs").EnumerateArray().Select(j => j.GetProperty("id").GetGuid()));
            page.GetProperty("jobs").EnumerateArray().ShouldAllBe(j => j.GetProperty("status").GetString() == "Queued");
            next = page.TryGetProperty("next", out var place) ? $"&after={place.GetString()}" : null;
        }
        while (next is not null);

        seen.Count.ShouldBeGreaterThanOrEqualTo(5);
        seen.ShouldBeUnique();
        var all = await host.WithDbAsync(db => db.BatchJobs.CountAsync(s => s.CurrentState == "Queued"));
        seen.Count.ShouldBe(all);
    }

    [Theory]
    [InlineData("Stopped", "Scoring", "Cancelling")]
    [InlineData("Stopped", null, "Cancelling")]
    [InlineData("Stopped", "Cancelled", "Cancelled")]
    [InlineData("Failed", "Scoring", "Failed")]
    [InlineData("Running", "Scoring", "Scoring")]
    [InlineData("Committed", "Scoring", "Scoring")]
    [InlineData("Accepted", null, "Submitted")]
    public async Task Shows_what_ledger_and_saga_say_together(string ledger, string? saga, string shown)
    {
        var id = await host.AddJobAsync(ledger, saga, job => job.Failure = ledger == "Failed" ? WireJson.Write(new Failure("input_changed", "Changed.")) : null);

        var job = await (await host.Client.GetAsync($"/api/v1/batch-inference/jobs/{id}")).JsonAsync();

        job.GetProperty("status").GetString().ShouldBe(shown);
        if (ledger == "Failed")
            job.GetProperty("failure").GetProperty("code").GetString().ShouldBe("input_changed");
    }

    [Fact]
    public async Task Lists_the_shards_of_a_job_in_pages()
    {
        var id = await host.AddJobAsync("Running", "Scoring", job => (job.InputRows, job.TotalUnits) = (500, 5));
        for (var unit = 0; unit < 5; unit++)
            await host.AddUnitAsync(id, unit, Sagas.WorkLedger.WorkUnitState.Pending, 100);

        var first = await (await host.Client.GetAsync($"/api/v1/batch-inference/jobs/{id}/shards?limit=3")).JsonAsync();
        first.GetProperty("shards").EnumerateArray().Select(s => s.GetProperty("shard").GetInt32()).ShouldBe([0, 1, 2]);
        var rest = await (await host.Client.GetAsync($"/api/v1/batch-inference/jobs/{id}/shards?after={first.GetProperty("next").GetInt32()}")).JsonAsync();
        rest.GetProperty("shards").EnumerateArray().Select(s => s.GetProperty("firstRow").GetInt64()).ShouldBe([300L, 400L]);
        rest.TryGetProperty("next", out _).ShouldBeFalse();
    }

    async Task<string> VersionAsync(object body) => (await SubmittedAsync(body)).Model.Sha256;

    async Task<BatchJobSpec> SubmittedAsync(object body)
    {
        var response = await host.SubmitAsync(body);
        response.StatusCode.ShouldBe(HttpStatusCode.Accepted, await response.Content.ReadAsStringAsync());
        var id = (await response.JsonAsync()).GetProperty("id").GetGuid();
        return await host.WithDbAsync(async db => WireJson.Read<BatchJobSpec>((await db.WorkJobs.SingleAsync(j => j.Id == id)).Spec));
    }
}
