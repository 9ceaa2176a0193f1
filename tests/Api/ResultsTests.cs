namespace Api.Tests;

[Collection(nameof(ApiHost))]
[Trait("Category", "Server")]
public sealed class ResultsTests(ApiHost host)
{
    [Fact]
    public async Task Gives_the_manifest_and_its_files()
    {
        var id = await host.AddJobAsync("Completed", "Completed", null, saga => (saga.ManifestUri, saga.ManifestSha256) = (ApiHost.Uri(host.Outputs, "done", "_manifest.json"), "ab"));
        Directory.CreateDirectory(Path.Combine(host.Outputs, "done"));
        await File.WriteAllTextAsync(Path.Combine(host.Outputs, "done", "_manifest.json"),
            """{"rows":{"scored":2},"parts":[{"file":"part-00000.parquet"}],"quarantine":[{"file":"quarantine-00000.parquet"}]}""");

        var results = await (await host.Client.GetAsync($"/api/v1/batch-inference/jobs/{id}/results")).JsonAsync();

        results.GetProperty("manifest").GetProperty("rows").GetProperty("scored").GetInt64().ShouldBe(2);
        results.GetProperty("files").EnumerateArray().Select(f => f.GetString()).ShouldBe(
        [
            ApiHost.Uri(host.Outputs, "done", "_manifest.json"), ApiHost.Uri(host.Outputs, "done", "part-00000.parquet"), ApiHost.Uri(host.Outputs, "done", "quarantine-00000.parquet"),
        ]);
    }

    [Fact]
    public async Task Are_not_there_before_the_end_nor_after_a_failure()
    {
        var running = await host.AddJobAsync("Running", "Scoring");
        await (await host.Client.GetAsync($"/api/v1/batch-inference/jobs/{running}/results")).ProblemAsync(409, "job_not_finished");
        var failed = await host.AddJobAsync("Failed", "Failed");
        await (await host.Client.GetAsync($"/api/v1/batch-inference/jobs/{failed}/results")).ProblemAsync(409, "no_results");
    }
}
