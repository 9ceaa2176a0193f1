using System.Net;
using System.Net.Http.Json;
using System.Text.Json;

namespace EndToEnd;

/// <summary>What was there before a restart is there after it, once.</summary>
[Trait("Category", "Server"), Collection(PlatformGroup.Name)]
public sealed class RestartTests(PlatformFixture fixture)
{
    Platform Platform => fixture.Platform;

    [Fact]
    public async Task Jobs_results_models_and_answers_survive_a_restart()
    {
        var key = Guid.CreateVersion7().ToString();
        var id = await Platform.SubmitAsync(Scenarios.TenShards(), key);
        var job = await Platform.EndAsync(id);
        var models = await ModelsAsync();
        var results = await ResultsAsync(id);

        (await Platform.StopAsync()).ShouldBe(0);
        await Platform.StartAgainAsync();

        (await Platform.JobAsync(id)).ShouldBe(job);
        (await ResultsAsync(id)).ShouldBe(results);
        using var repeated = await Platform.PostAsync(Scenarios.TenShards(), key);
        repeated.StatusCode.ShouldBe(HttpStatusCode.Accepted);
        repeated.Headers.GetValues("Idempotency-Replayed").ShouldBe(["true"]);
        (await repeated.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("id").GetGuid().ShouldBe(id);
        using var other = await Platform.PostAsync(Scenarios.SixtyShards(), key);
        other.StatusCode.ShouldBe(HttpStatusCode.UnprocessableEntity);
        // Whatever the start registers is done before it answers for a model that is not there yet: none was added since.
        (await Platform.RunAsync(Scenarios.TenShards())).Status.ShouldBe("Completed");
        (await ModelsAsync()).ShouldBe(models);
        await Platform.ShouldKeepInvariantsAsync();
    }

    [Fact]
    public async Task A_job_that_a_clean_stop_interrupts_goes_on_after_it()
    {
        var calm = await Platform.RunAsync(Scenarios.SixtyShards());
        var id = await Platform.SubmitAsync(Scenarios.SixtyShards());
        await Platform.JobOnceAsync(id, job => job.Progress.ShardsDone >= 5, "some shards");

        (await Platform.StopAsync()).ShouldBe(0);
        await Platform.StartAgainAsync();

        var job = await Platform.EndAsync(id);
        job.Status.ShouldBe("Completed", job.ToString());
        Tables.Of(job, "account_id").ShouldBe(Tables.Of(calm, "account_id"));
        await Platform.ShouldKeepInvariantsAsync();
    }

    // Without the speed, which each large job measures anew.
    async Task<List<string>> ModelsAsync() =>
        [.. (await Platform.Http.GetFromJsonAsync<JsonElement>("/api/v1/models")).GetProperty("models").EnumerateArray()
            .Select(m => $"{m.GetProperty("name")} {m.GetProperty("latestVersion")} {m.GetProperty("versions")} {m.GetProperty("registeredAt")}")];

    async Task<string> ResultsAsync(Guid id) => await Platform.Http.GetStringAsync($"{BatchJobs.Route}/{id}/results");
}
