using Xunit.Abstractions;

namespace EndToEnd;

/// <summary>Whichever process dies, and whenever: every job ends as if none had, with nothing left over and nobody's help.</summary>
[Trait("Category", "Server"), Collection(ProcessGroups.Name)]
public sealed class ProcessKillTests(ProcessGroupFixture fixture, ITestOutputHelper output)
{
    ProcessGroup Group => fixture.Group;

    [Fact]
    public Task Every_job_ends_once_after_six_kills_at_random() => RunAsync(RunParameters.Of("SAGAS_JOBS", 30), RunParameters.Of("SAGAS_KILLS", 6));

    [Fact, Trait("Category", "Soak")]
    public Task Two_thousand_jobs_end_once_each_after_thirty_kills_at_random() => RunAsync(RunParameters.Of("SAGAS_JOBS", 2000), RunParameters.Of("SAGAS_KILLS", 30));

    async Task RunAsync(int jobs, int kills)
    {
        var random = RunParameters.Seeded(output);
        var load = await JobLoad.PrepareAsync(Group);
        var clock = TimeProvider.System.GetTimestamp();
        var killed = new Dictionary<string, int>();

        for (var kill = 0; kill < kills; kill++)
        {
            var share = jobs * (kill + 1) / kills - jobs * kill / kills;
            var killing = KillAsync(random.Next(Group.Count), TimeSpan.FromSeconds(random.NextDouble()));
            await Task.WhenAll(load.SubmitAsync(share, TimeSpan.FromSeconds(2)), killing);
            killed[await killing] = killed.GetValueOrDefault(await killing) + 1;
        }

        var fed = TimeProvider.System.GetElapsedTime(clock);
        await load.ShouldEndOnceAsync(TimeSpan.FromMinutes(10));
        var ended = TimeProvider.System.GetElapsedTime(clock);
        output.WriteLine($"{load.Accepted} jobs, {kills} kills ({string.Join(", ", killed.Select(k => $"{k.Key} {k.Value}"))}) in {fed.TotalSeconds:N0} s; all ended after {ended.TotalSeconds:N0} s");
        load.Accepted.ShouldBe(jobs);
    }

    // The moment is what the test tries out, not a wait for something.
    async Task<string> KillAsync(int number, TimeSpan moment)
    {
        await Task.Delay(moment);
        return await Group.KillAndStartAsync(number);
    }
}
