using System.Diagnostics;
using Support;

namespace EndToEnd;

/// <summary>A job's messages are in the trace of the request that brought it: saga, ledger, worker, to the last consumer.</summary>
[Trait("Category", "Server")]
public sealed class TraceTests : IDisposable
{
    static readonly string[] Endpoints =
        ["batch-job", "work-admit", "batch-plan", "batch-inference-units", "batch-shards-scored", "batch-publish", "batch-clean-up"];

    readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task One_trace_leads_from_the_request_to_the_last_consumer_sampled_or_not(bool sampled)
    {
        await using var platform = await Platform.StartAsync(TracedMessages.Launch(_folder["data"], sampled) with { Arguments = ["--BatchInference:Saga:CleanUpDelay=00:00:01"] });
        using var request = new Activity("request").SetIdFormat(ActivityIdFormat.W3C);
        request.ActivityTraceFlags = sampled ? ActivityTraceFlags.Recorded : ActivityTraceFlags.None;
        request.Start();
        var id = await platform.SubmitAsync(Scenarios.TenShards());
        request.Stop();

        (await platform.EndAsync(id)).Status.ShouldBe("Completed");

        foreach (var endpoint in Endpoints)
            await Eventually.TrueAsync(() => Consumed(endpoint).Any(), $"a message consumed by {endpoint} in trace {request.TraceId}\n{platform.Output}");

        IEnumerable<string> Consumed(string endpoint) => platform.Output.Split('\n')
            .Where(line => line.StartsWith($"{TracedMessages.Announcement}{request.TraceId} ", StringComparison.Ordinal) && line.Contains(endpoint, StringComparison.Ordinal));
    }
}
