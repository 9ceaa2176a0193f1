using System.Net;
using Support;
using Xunit.Abstractions;

namespace EndToEnd;

/// <summary>While PostgreSQL restarts, callers hear 503 and when to come back, and nothing that was accepted is lost.</summary>
[Trait("Category", "Server"), Collection(ProcessGroups.Name)]
public sealed class DatabaseOutageTests(ProcessGroupFixture fixture, ITestOutputHelper output)
{
    static readonly string[] Reads = [BatchJobs.Route, "/api/v1/models", "/api/v1/models/fraud-detection-model", "/api/v1/operations/invariants"];

    ProcessGroup Group => fixture.Group;

    [Fact]
    public Task A_restart_of_the_database_under_load_is_heard_as_503_with_retry_after_and_loses_nothing() => RunAsync(RunParameters.Of("SAGAS_JOBS", 40), restarts: 1);

    [Fact, Trait("Category", "Soak")]
    public Task Ten_restarts_of_the_database_under_load_are_heard_as_503_with_retry_after_and_lose_nothing() => RunAsync(RunParameters.Of("SAGAS_JOBS", 1000), restarts: 10);

    async Task RunAsync(int jobs, int restarts)
    {
        var random = RunParameters.Seeded(output);
        var load = await JobLoad.PrepareAsync(Group);
        using var end = new CancellationTokenSource();
        var reading = ReadAsync(end.Token);

        for (var restart = 0; restart < restarts; restart++)
        {
            // The moment is what the test tries out, not a wait for something.
            var moment = TimeSpan.FromSeconds(3) * random.NextDouble();
            await Task.WhenAll(load.SubmitAsync(jobs / restarts, TimeSpan.FromSeconds(4)), RestartAfterAsync(moment));
        }

        await end.CancelAsync();
        var answers = await reading;
        await load.ShouldEndOnceAsync(TimeSpan.FromMinutes(10));
        var refusals = load.Refusals.Concat(answers).GroupBy(answer => answer).ToDictionary(g => g.Key, g => g.Count());
        output.WriteLine($"{load.Accepted} jobs, {restarts} restarts: {string.Join(", ", refusals.Select(r => $"{r.Value} answers {r.Key}"))}");
        refusals.Keys.ShouldBeSubsetOf(["503 5"]);
    }

    async Task RestartAfterAsync(TimeSpan moment)
    {
        await Task.Delay(moment);
        await Group.RestartPostgresAsync();
    }

    /// <returns>Answers other than 200.</returns>
    async Task<List<string>> ReadAsync(CancellationToken end)
    {
        List<string> answers = [];
        for (var i = 0; !end.IsCancellationRequested; i++)
        {
            using var answer = await Group.Http.GetAsync(Reads[i % Reads.Length], CancellationToken.None);
            if (answer.StatusCode != HttpStatusCode.OK)
                answers.Add($"{(int)answer.StatusCode} {answer.Headers.RetryAfter}");
        }

        return answers;
    }
}
