using System.Net;
using System.Net.Http.Json;
using Xunit.Abstractions;

namespace EndToEnd;

/// <summary>Whenever a job is cancelled, it has one end: cancelled with nothing to see, or completed with everything.</summary>
[Trait("Category", "Server"), Collection(PlatformGroup.Name)]
public sealed class CancelTests(PlatformFixture fixture, ITestOutputHelper output)
{
    /// <summary>Tenants run three at once: the others are cancelled while they queue.</summary>
    const int AtOnce = 5;

    Platform Platform => fixture.Platform;

    [Fact]
    public Task Twenty_jobs_cancelled_at_random_moments_have_one_end_each() => CancelAsync(20);

    [Fact, Trait("Category", "Soak")]
    public Task A_thousand_jobs_cancelled_at_random_moments_have_one_end_each() => CancelAsync(1000);

    [Fact]
    public async Task Two_who_cancel_at_once_hear_the_same()
    {
        var id = await Platform.SubmitAsync(Scenarios.SixtyShards());

        var answers = await Task.WhenAll(CancelAsync(id), CancelAsync(id));

        answers.ShouldAllBe(answer => answer == HttpStatusCode.Accepted || answer == HttpStatusCode.OK);
        (await Platform.EndAsync(id)).Status.ShouldBe("Cancelled");
    }

    [Fact]
    public async Task A_completed_job_cannot_be_cancelled()
    {
        var job = await Platform.RunAsync(Scenarios.TenShards());

        (await CancelAsync(job.Id)).ShouldBe(HttpStatusCode.Conflict);

        (await Platform.JobAsync(job.Id)).Status.ShouldBe("Completed");
        File.Exists(new Uri(job.ManifestUri!).LocalPath).ShouldBeTrue();
    }

    async Task CancelAsync(int jobs)
    {
        var seed = int.TryParse(Environment.GetEnvironmentVariable("SAGAS_SEED"), out var chosen) ? chosen : Random.Shared.Next();
        output.WriteLine($"SAGAS_SEED={seed}");
        var random = new Random(seed);
        // The first of its kind is slow: it loads the model.
        await Platform.RunAsync(Scenarios.TenShards());
        var calm = await Platform.RunAsync(Scenarios.TenShards());
        // Longer than a calm job takes: several share the workers, and some are to win.
        var moments = Enumerable.Range(0, jobs).Select(_ => calm.Elapsed * 2 * random.NextDouble()).ToList();
        var ends = new Job[jobs];

        await Parallel.ForEachAsync(moments.Index(), new ParallelOptions { MaxDegreeOfParallelism = AtOnce }, async (moment, cancellationToken) =>
        {
            var id = await Platform.SubmitAsync(Scenarios.TenShards());
            // The moment is what the test tries out, not a wait for something.
            await Task.Delay(moment.Item, cancellationToken);
            var answer = await CancelAsync(id);
            var end = ends[moment.Index] = await Platform.EndAsync(id);
            end.Status.ShouldBe(answer is HttpStatusCode.Conflict ? "Completed" : "Cancelled", $"{answer} after {moment.Item}: {end}");
        });

        output.WriteLine(string.Join(", ", ends.CountBy(end => end.Status).Select(status => $"{status.Value} {status.Key}")));
        (await Platform.RunAsync(Scenarios.TenShards())).Status.ShouldBe("Completed");
        foreach (var end in ends)
            await ShouldStayAsync(end, calm);
        await Platform.ShouldKeepInvariantsAsync();
    }

    async Task ShouldStayAsync(Job end, Job calm)
    {
        var now = await Platform.JobAsync(end.Id);
        (now.Status, now.Rows, now.ManifestUri).ShouldBe((end.Status, end.Rows, end.ManifestUri));
        now.Rows.Remaining.ShouldBe(0);
        if (now.Status == "Cancelled")
            now.Published().ShouldBeEmpty();
        else
            Tables.Of(now, "transaction_id").ShouldBe(Tables.Of(calm, "transaction_id"));
    }

    async Task<HttpStatusCode> CancelAsync(Guid id)
    {
        using var answer = await Platform.Http.PostAsJsonAsync($"{BatchJobs.Route}/{id}/cancel", new { reason = "a test" });
        return answer.StatusCode;
    }
}
