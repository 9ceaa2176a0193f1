using System.Diagnostics;
using System.Text.Json;
using Xunit.Abstractions;

namespace EndToEnd;

/// <summary>Whatever dies, and whenever: the job completes by itself, with the rows of a calm run.</summary>
[Trait("Category", "Server"), Collection(PlatformGroup.Name)]
public sealed class KillTests(PlatformFixture fixture, ITestOutputHelper output)
{
    /// <summary>Of the machine where tests run; the platform has a slot a core.</summary>
    static readonly int Slots = Environment.ProcessorCount;

    [Fact]
    public Task A_job_completes_with_the_same_rows_after_kill_9_at_two_random_moments() =>
        KillAsync(fixture.Platform, Scenarios.SixtyShards(), kills: 2);

    [Fact, Trait("Category", "Soak")]
    public async Task A_job_of_200_shards_completes_with_the_same_rows_after_kill_9_at_ten_random_moments()
    {
        // As its users run it: PostgreSQL syncs.
        using var folder = new Support.TestFolder();
        await using var platform = await Platform.StartAsync(new Support.StandaloneLaunch(folder["data"]) { Profile = "Development" });

        var job = await KillAsync(platform, Scenarios.TwoHundredShards(platform), kills: 10);

        job.Progress.ShardsTotal.ShouldBe(200);
    }

    [Fact]
    public async Task A_job_completes_with_the_same_rows_when_its_database_is_killed()
    {
        var request = Scenarios.SixtyShards();
        var calm = await fixture.Platform.RunAsync(request);
        var id = await fixture.Platform.SubmitAsync(request);
        await fixture.Platform.JobOnceAsync(id, job => job.Progress.ShardsDone > 0, "a first shard");

        await fixture.Platform.KillDatabaseAsync();

        var killed = await AfterOutageAsync(id);
        killed.Status.ShouldBe("Completed", killed.ToString());
        Tables.Of(killed, "account_id").ShouldBe(Tables.Of(calm, "account_id"));
        await fixture.Platform.ShouldKeepInvariantsAsync();
    }

    async Task<Job> KillAsync(Platform platform, JobRequest request, int kills)
    {
        var seed = int.TryParse(Environment.GetEnvironmentVariable("SAGAS_SEED"), out var chosen) ? chosen : Random.Shared.Next();
        output.WriteLine($"SAGAS_SEED={seed}");
        var random = new Random(seed);
        var calm = await platform.RunAsync(request);
        calm.Status.ShouldBe("Completed", calm.ToString());
        output.WriteLine($"Calm: {calm.Rows.Scored:N0} rows in {calm.Progress.ShardsTotal} shards, {calm.Elapsed.TotalSeconds:N1} s");

        var id = await platform.SubmitAsync(request);
        for (var kill = 1; kill <= kills; kill++)
        {
            // The moment is what the test tries out, not a wait for something.
            var moment = calm.Elapsed * random.NextDouble() / kills;
            await Task.Delay(moment);
            await KillAndStartAsync(platform, id, kill, moment, andDatabase: random.Next(4) == 0, watch: kill == kills || random.Next(2) == 0);
        }

        var killed = await platform.EndAsync(id);

        killed.Status.ShouldBe("Completed", killed.ToString());
        output.WriteLine($"Killed {kills} times: {killed.Elapsed.TotalSeconds:N1} s, {killed.RescoredRows:N0} rows scored again");
        var (expected, actual) = (Tables.Of(calm, "account_id"), Tables.Of(killed, "account_id"));
        expected.Keys.ShouldBe(expected.Rows);
        actual.ShouldBe(expected);
        actual.Rows.ShouldBe(killed.Rows.Input);
        killed.RescoredRows.ShouldBeLessThanOrEqualTo(kills * 2L * Slots * request.BatchSize!.Value);
        ReadManifest(killed).GetProperty("rows").GetProperty("rescored").GetInt64().ShouldBe(killed.RescoredRows);
        await platform.ShouldKeepInvariantsAsync();
        return killed;
    }

    async Task KillAndStartAsync(Platform platform, Guid id, int kill, TimeSpan moment, bool andDatabase, bool watch)
    {
        var before = await platform.JobAsync(id);
        await platform.KillAsync();
        if (andDatabase)
            await platform.KillDatabaseAsync();
        var clock = Stopwatch.StartNew();
        await platform.StartAgainAsync();
        var ready = clock.Elapsed;
        var line = $"Kill {kill}{(andDatabase ? " with PostgreSQL" : "")} after {moment.TotalSeconds:N1} s at {before.Progress.Percent} % ({before.Status}); ready again after {ready.TotalSeconds:N1} s";
        if (!watch)
        {
            output.WriteLine(line);
            return;
        }

        // Later than the restart by what was committed before it could be asked: that can only make the wait longer.
        var found = await platform.JobAsync(id);
        await platform.JobOnceAsync(id, job => job.IsFinal || job.Status != found.Status || job.Progress.ShardsDone > found.Progress.ShardsDone, "to move again");
        var moving = clock.Elapsed - ready;
        output.WriteLine($"{line}, moving {moving.TotalSeconds:N1} s later");
        moving.ShouldBeLessThan(TimeSpan.FromSeconds(15));
    }

    // Requests may fail while the database is away; the platform must not.
    async Task<Job> AfterOutageAsync(Guid id)
    {
        Job? job = null;
        try
        {
            await Support.Eventually.TrueAsync(async () =>
            {
                using var answer = await fixture.Platform.Http.GetAsync($"{BatchJobs.Route}/{id}");
                job = answer.IsSuccessStatusCode ? await fixture.Platform.JobAsync(id) : job;
                return job is { IsFinal: true };
            }, $"the end of job {id}", TimeSpan.FromMinutes(4));
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException($"{e.Message}. It is {job}. The platform's log:\n{fixture.Platform.Output}", e);
        }

        return job!;
    }

    static JsonElement ReadManifest(Job job) => JsonSerializer.Deserialize<JsonElement>(File.ReadAllBytes(new Uri(job.ManifestUri!).LocalPath));
}
