using System.Net.Http.Json;
using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization;
using Support;

namespace EndToEnd;

public sealed record JobRequest(string Model, JobFiles Input, IReadOnlyList<string> KeyColumns)
{
    public int? BatchSize { get; init; }
    public double? MaxErrorRate { get; init; }
    public long? MaxErrors { get; init; }
    public JobFiles? Output { get; init; }
}

public sealed record JobFiles(string? Uri = null, string? Format = null);

public sealed record Job(
    Guid Id, string Status, JobProgress Progress, JobRows Rows, long RescoredRows, JobFailure? Failure, string? ManifestUri, JobFiles Output,
    DateTimeOffset SubmittedAt, DateTimeOffset? EndedAt)
{
    public bool IsFinal => Status is "Completed" or "CompletedWithErrors" or "Failed" or "Cancelled";

    /// <summary>There once something is published.</summary>
    public string Folder => Path.Combine(new Uri(Output.Uri!).LocalPath, Id.ToString());

    public TimeSpan Elapsed => (EndedAt ?? SubmittedAt) - SubmittedAt;

    /// <summary>Files that everybody sees.</summary>
    public string[] Published() => Directory.Exists(Folder) ? Directory.GetFiles(Folder) : [];
}

public sealed record JobRows(long Input, long Scored, long Quarantined, long Skipped, long Remaining);

public sealed record JobFailure(string Code, string Message);

public sealed record JobProgress(string Status, long RowsTotal, long RowsDone, double Percent, int ShardsTotal, int ShardsDone);

/// <param name="Since">Since the stream was asked for.</param>
public sealed record ProgressEvent(string Id, JobProgress Progress, TimeSpan Since);

/// <summary>Batch jobs as any client sees them.</summary>
static class BatchJobs
{
    public const string Route = "/api/v1/batch-inference/jobs";

    static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull };

    public static async Task<Guid> SubmitAsync(this IPlatform platform, JobRequest request, string? idempotencyKey = null)
    {
        // The first start registers the samples while it already serves.
        await Eventually.TrueAsync(
            async () => (await platform.Http.GetAsync($"/api/v1/models/{request.Model}")).IsSuccessStatusCode, $"{request.Model} to be registered", TimeSpan.FromMinutes(2));
        using var answer = await platform.PostAsync(request, idempotencyKey);
        var body = await answer.Content.ReadFromJsonAsync<JsonElement>();
        answer.IsSuccessStatusCode.ShouldBeTrue(body.ToString());
        return body.GetProperty("id").GetGuid();
    }

    public static async Task<HttpResponseMessage> PostAsync(this IPlatform platform, JobRequest request, string? idempotencyKey = null)
    {
        using var message = new HttpRequestMessage(HttpMethod.Post, Route) { Content = JsonContent.Create(request, options: Json) };
        if (idempotencyKey is not null)
            message.Headers.Add("Idempotency-Key", idempotencyKey);
        return await platform.Http.SendAsync(message);
    }

    public static async Task<Job> JobAsync(this IPlatform platform, Guid id) =>
        (await platform.Http.GetFromJsonAsync<Job>($"{Route}/{id}", Json))!;

    public static Task<Job> EndAsync(this IPlatform platform, Guid id) => platform.JobOnceAsync(id, job => job.IsFinal, "its end");

    public static async Task<Job> JobOnceAsync(this IPlatform platform, Guid id, Func<Job, bool> condition, string what)
    {
        Job job = null!;
        try
        {
            await Eventually.TrueAsync(async () => condition(job = await platform.JobAsync(id)), $"job {id}: {what}", TimeSpan.FromMinutes(4));
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException($"{e.Message}. It is {job}. The platform's log:\n{platform.Output}", e);
        }

        return job;
    }

    public static async Task<Job> RunAsync(this IPlatform platform, JobRequest request) => await platform.EndAsync(await platform.SubmitAsync(request));

    /// <summary>As an event source does: <paramref name="lastEventId"/> is what it heard before its connection broke.</summary>
    public static async IAsyncEnumerable<ProgressEvent> EventsAsync(
        this IPlatform platform, Guid id, string? lastEventId = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"{Route}/{id}/events");
        if (lastEventId is not null)
            request.Headers.Add("Last-Event-ID", lastEventId);
        var started = TimeProvider.System.GetTimestamp();
        using var response = await platform.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        await using var stream = await response.EnsureSuccessStatusCode().Content.ReadAsStreamAsync(cancellationToken);
        await foreach (var item in SseParser.Create(stream, (_, data) => JsonSerializer.Deserialize<JobProgress>(data, Json)!).EnumerateAsync(cancellationToken))
            yield return new ProgressEvent(item.EventId!, item.Data, TimeProvider.System.GetElapsedTime(started));
    }

    /// <summary>Every figure 0; those that name a delay are given time to get there.</summary>
    public static async Task ShouldKeepInvariantsAsync(this IPlatform platform)
    {
        JsonElement report = default;
        try
        {
            await Eventually.TrueAsync(async () =>
            {
                report = await platform.Http.GetFromJsonAsync<JsonElement>("/api/v1/operations/invariants");
                return report.EnumerateObject().All(figure => figure.Value.ValueKind != JsonValueKind.Number || figure.Value.GetInt64() == 0);
            }, "invariants of zeros");
        }
        catch (TimeoutException)
        {
            report.ToString().ShouldBeEmpty();
        }

        report.GetProperty("ok").GetBoolean().ShouldBeTrue();
    }
}
