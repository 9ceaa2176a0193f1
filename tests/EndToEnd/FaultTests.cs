using System.Net.Http.Json;
using Support;
using Xunit.Abstractions;

namespace EndToEnd;

/// <summary>Messages that come twice, late, out of order or not at all change nothing but the time a job takes.</summary>
[Trait("Category", "Server"), Collection(PlatformGroup.Name)]
public sealed class FaultTests(PlatformFixture fixture, ITestOutputHelper output) : IDisposable
{
    readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Jobs_end_as_they_do_on_a_good_network()
    {
        var seed = int.TryParse(Environment.GetEnvironmentVariable("SAGAS_SEED"), out var chosen) ? chosen : Random.Shared.Next();
        output.WriteLine($"SAGAS_SEED={seed}");
        var calm = await fixture.Platform.RunAsync(Scenarios.SixtyShards());
        await using var faulty = await Platform.StartAsync(FaultyMessages.Launch(_folder["data"], seed));

        // Text first: conversion and a second planning have messages of their own.
        var text = Scenarios.TenShards() with { Input = Scenarios.Input("transactions.csv") };
        var ids = new List<Guid> { await faulty.SubmitAsync(Scenarios.SixtyShards()), await faulty.SubmitAsync(text), await faulty.SubmitAsync(Scenarios.SixtyShards()) };
        using var answer = await faulty.Http.PostAsJsonAsync($"{BatchJobs.Route}/{ids[2]}/cancel", new { });
        answer.IsSuccessStatusCode.ShouldBeTrue();
        var jobs = new List<Job>();
        foreach (var id in ids)
            jobs.Add(await faulty.EndAsync(id));

        jobs.Select(job => job.Status).ShouldBe(["Completed", "Completed", "Cancelled"], $"{string.Join("\n", jobs)}\n{faulty.Output}");
        output.WriteLine($"Calm: {calm.Elapsed.TotalSeconds:N1} s; with faults: {jobs[0].Elapsed.TotalSeconds:N1} s, {jobs[0].RescoredRows} rows scored again");
        Tables.Of(jobs[0], "account_id").ShouldBe(Tables.Of(calm, "account_id"));
        jobs[1].Rows.ShouldBe(new JobRows(10_000, 10_000, 0, 0, 0));
        jobs[2].Published().ShouldBeEmpty();
        await faulty.ShouldKeepInvariantsAsync();
        (await faulty.StopAsync()).ShouldBe(0);
        var faults = faulty.Output.Split('\n').Single(line => line.StartsWith(FaultyMessages.Announcement, StringComparison.Ordinal))[FaultyMessages.Announcement.Length..];
        output.WriteLine($"Twice, late, out of order, lost: {faults}");
        faults.Trim().Split(' ').ShouldAllBe(count => int.Parse(count) > 0);
    }
}
