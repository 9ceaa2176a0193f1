using System.Diagnostics;
using System.Net;
using System.Net.ServerSentEvents;
using System.Text.Json;
using Api.BatchInference;
using Microsoft.Extensions.DependencyInjection;
using Sagas.WorkLedger;
using Support;

namespace Api.Tests;

[Collection(nameof(ApiHost))]
[Trait("Category", "Server")]
public sealed class EventsTests(ApiHost host)
{
    static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task Tells_of_a_job_to_its_end_at_exactly_100_percent()
    {
        var id = await RunningJobAsync();
        await using var viewer = await WatchAsync(id);

        var first = await viewer.NextAsync();
        first.GetProperty("status").GetString().ShouldBe("Scoring");
        first.GetProperty("rowsTotal").GetInt64().ShouldBe(1000);
        first.GetProperty("rowsDone").GetInt64().ShouldBe(100);
        first.GetProperty("percent").GetDouble().ShouldBe(10);
        first.GetProperty("shardsTotal").GetInt32().ShouldBe(10);
        first.GetProperty("shardsDone").GetInt32().ShouldBe(1);

        await host.ChangeJobAsync(id, job => (job.Scored, job.Quarantined, job.CommittedUnits) = (900, 100, 10), "Publishing");
        var publishing = await viewer.NextAsync(e => e.GetProperty("status").GetString() == "Publishing");
        publishing.GetProperty("percent").GetDouble().ShouldBe(99.9);
        await host.ChangeJobAsync(id, job => job.State = "Completed", "CompletedWithErrors");

        var last = (await viewer.RestAsync())[^1];
        last.GetProperty("status").GetString().ShouldBe("CompletedWithErrors");
        last.GetProperty("percent").GetDouble().ShouldBe(100);
        last.GetProperty("quarantined").GetInt64().ShouldBe(100);
        last.GetProperty("etaSeconds").GetDouble().ShouldBe(0);
    }

    [Fact]
    public async Task Never_goes_back_when_a_worker_is_lost()
    {
        var id = await RunningJobAsync();
        await host.AddUnitAsync(id, 1, WorkUnitState.Running, 100, unit => unit.RowsDone = 50);
        await using var viewer = await WatchAsync(id);
        (await viewer.NextAsync()).GetProperty("rowsDone").GetInt64().ShouldBe(150);

        await host.WithDbAsync(async db =>
        {
            var unit = await db.WorkUnits.FindAsync(id, 1);
            (unit!.State, unit.RowsDone) = (WorkUnitState.Pending, 0);
            return await db.SaveChangesAsync();
        });
        await host.ChangeJobAsync(id, job => job.Quarantined = 1);
        var after = await viewer.NextAsync(e => e.GetProperty("quarantined").GetInt64() == 1);

        after.GetProperty("rowsDone").GetInt64().ShouldBe(150);
        after.GetProperty("percent").GetDouble().ShouldBe(15);
    }

    [Fact]
    public async Task Continues_where_a_viewer_left_off()
    {
        var id = await RunningJobAsync();
        await using (var gone = await WatchAsync(id, lastEventId: "700"))
            (await gone.NextAsync()).GetProperty("rowsDone").GetInt64().ShouldBe(700);
        await using (var odd = await WatchAsync(id, lastEventId: "what"))
            (await odd.NextAsync()).GetProperty("rowsDone").GetInt64().ShouldBe(100);

        await host.ChangeJobAsync(id, job => (job.State, job.Scored) = ("Completed", 1000), "Completed");
        await using var viewer = await WatchAsync(id, lastEventId: "700");
        (await viewer.RestAsync())[^1].GetProperty("percent").GetDouble().ShouldBe(100);
        viewer.LastEventId.ShouldBe("1000-end");
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/api/v1/batch-inference/jobs/{id}/events");
        request.Headers.Add("Last-Event-ID", viewer.LastEventId);
        (await host.Client.SendAsync(request)).StatusCode.ShouldBe(HttpStatusCode.NoContent);
    }

    [Fact]
    public async Task Speaks_at_least_once_a_second_while_nothing_changes()
    {
        var id = await RunningJobAsync();
        await using var viewer = await WatchAsync(id);
        var longest = TimeSpan.Zero;
        for (var i = 0; i < 20; i++)
        {
            var asked = Stopwatch.GetTimestamp();
            await viewer.NextAsync();
            var waited = Stopwatch.GetElapsedTime(asked);
            longest = waited > longest ? waited : longest;
        }

        longest.ShouldBeLessThan(TimeSpan.FromSeconds(1));
    }

    [Fact]
    public async Task Viewers_share_one_poller_which_ends_with_the_last_of_them()
    {
        var feeds = host.Services.GetRequiredService<JobFeeds>();
        await Eventually.TrueAsync(() => feeds.Count == 0, "the end of other tests' feeds");
        var id = await RunningJobAsync();
        var viewers = await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => WatchAsync(id)));
        foreach (var viewer in viewers)
            await viewer.NextAsync();
        feeds.Count.ShouldBe(1);

        foreach (var viewer in viewers)
            await viewer.DisposeAsync();

        await Eventually.TrueAsync(() => feeds.Count == 0, "the end of the feed");
    }

    [Theory]
    [InlineData("Failed")]
    [InlineData("Cancelled")]
    public async Task Ends_at_once_for_a_job_that_has_ended(string status)
    {
        var id = await host.AddJobAsync("Stopped", status);
        await using var viewer = await WatchAsync(id);

        var only = (await viewer.RestAsync()).ShouldHaveSingleItem();
        only.GetProperty("status").GetString().ShouldBe(status);
        only.GetProperty("percent").GetDouble().ShouldBe(100);
    }

    async Task<Guid> RunningJobAsync()
    {
        var id = await host.AddJobAsync("Running", "Scoring", job =>
            (job.InputRows, job.TotalUnits, job.CommittedUnits, job.Scored) = (1000, 10, 1, 100));
        await host.AddUnitAsync(id, 0, WorkUnitState.Committed, 100);
        return id;
    }

    async Task<Viewer> WatchAsync(Guid id, string? lastEventId = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/api/v1/batch-inference/jobs/{id}/events");
        if (lastEventId is not null)
            request.Headers.Add("Last-Event-ID", lastEventId);
        var response = await host.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        response.StatusCode.ShouldBe(HttpStatusCode.OK);
        response.Content.Headers.ContentType!.MediaType.ShouldBe("text/event-stream");
        return new Viewer(response, await response.Content.ReadAsStreamAsync());
    }

    sealed class Viewer(HttpResponseMessage response, Stream stream) : IAsyncDisposable
    {
        readonly CancellationTokenSource _limit = new(Limit);
        IAsyncEnumerator<SseItem<string>>? _events;

        public string? LastEventId { get; private set; }

        public async Task<JsonElement> NextAsync(Func<JsonElement, bool>? wanted = null)
        {
            while (await MoveAsync())
                if (Current is var progress && wanted?.Invoke(progress) != false)
                    return progress;
            throw new EndOfStreamException();
        }

        public async Task<List<JsonElement>> RestAsync()
        {
            var rest = new List<JsonElement>();
            while (await MoveAsync())
                rest.Add(Current);
            return rest;
        }

        JsonElement Current => JsonSerializer.Deserialize<JsonElement>(_events!.Current.Data);

        async Task<bool> MoveAsync()
        {
            _events ??= SseParser.Create(stream).EnumerateAsync(_limit.Token).GetAsyncEnumerator(_limit.Token);
            if (!await _events.MoveNextAsync())
                return false;
            LastEventId = _events.Current.EventId;
            return true;
        }

        public async ValueTask DisposeAsync()
        {
            if (_events is not null)
                await _events.DisposeAsync();
            response.Dispose();
            _limit.Dispose();
        }
    }
}
