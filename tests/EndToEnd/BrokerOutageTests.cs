using System.Net;
using System.Net.Http.Headers;
using Xunit.Abstractions;

namespace EndToEnd;

/// <summary>While RabbitMQ is away, jobs are accepted all the same; when it comes back, each is done once.</summary>
[Trait("Category", "Server"), Collection(ProcessGroups.Name)]
public sealed class BrokerOutageTests(ProcessGroupFixture fixture, ITestOutputHelper output)
{
    /// <summary>Of the messages sent, at most this share may have been sent twice.</summary>
    const double MostTwice = 0.01;

    ProcessGroup Group => fixture.Group;

    [Fact]
    public Task Jobs_submitted_while_the_broker_is_stopped_start_exactly_once_afterwards() =>
        RunAsync(RunParameters.Of("SAGAS_JOBS", 50), TimeSpan.FromSeconds(RunParameters.Of("SAGAS_OUTAGE_SECONDS", 20)));

    [Fact, Trait("Category", "Soak")]
    public Task A_thousand_jobs_submitted_while_the_broker_is_stopped_for_a_minute_start_exactly_once_afterwards() =>
        RunAsync(RunParameters.Of("SAGAS_JOBS", 1000), TimeSpan.FromSeconds(RunParameters.Of("SAGAS_OUTAGE_SECONDS", 60)));

    async Task RunAsync(int jobs, TimeSpan outage)
    {
        var load = await JobLoad.PrepareAsync(Group);
        var (sent, twice) = (await SentAsync(), await TwiceAsync());
        // A tenth is on its way when the broker goes.
        await load.SubmitAsync(jobs / 10, TimeSpan.Zero);

        await Group.Broker.StopAsync();
        var waiting = Task.Delay(outage);
        var model = RegisterModelAsync();
        await load.SubmitAsync(jobs - jobs / 10, outage);
        await waiting;
        var registered = await model;
        await Group.Broker.StartAsync();

        // A model is looked at by a worker before it is taken, and no worker can be asked.
        registered.ShouldBe((HttpStatusCode.ServiceUnavailable, TimeSpan.FromSeconds(5)));

        load.Refusals.ShouldBeEmpty();
        load.Accepted.ShouldBe(jobs);
        var clock = TimeProvider.System.GetTimestamp();
        await load.ShouldEndOnceAsync(TimeSpan.FromMinutes(10));
        var ended = TimeProvider.System.GetElapsedTime(clock);
        (sent, twice) = (await SentAsync() - sent, await TwiceAsync() - twice);
        output.WriteLine($"{jobs} jobs, broker away for {outage.TotalSeconds:N0} s: all ended {ended.TotalSeconds:N1} s after it was back; {sent} messages, {twice} of them received again");
        twice.ShouldBeLessThanOrEqualTo((long)(MostTwice * sent));
    }

    async Task<(HttpStatusCode Status, TimeSpan? RetryAfter)> RegisterModelAsync()
    {
        using var content = new ByteArrayContent(await File.ReadAllBytesAsync(Path.Combine(PlatformFixture.Samples, "models", "fraud-detection-model", "model.onnx")));
        content.Headers.ContentType = new MediaTypeHeaderValue("application/octet-stream");
        using var answer = await Group.Http.PostAsync("/api/v1/models?name=registered-without-a-broker", content);
        return (answer.StatusCode, answer.Headers.RetryAfter?.Delta);
    }

    Task<long> SentAsync() => Group.CountAsync("SELECT last_value FROM public.outbox_rows");

    // Every try to enter a message counts, and the twin's try leaves no row.
    Task<long> TwiceAsync() => Group.CountAsync("SELECT (SELECT last_value FROM public.inbox_tries) - (SELECT count(*) FROM messaging.inbox)");
}
