using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Api.Edge;
using Api.Requests;
using Api.Security;
using Artifacts;
using Contracts.BatchInference;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using Microsoft.EntityFrameworkCore;
using Sagas.BatchInference;
using Sagas.Persistence;
using Sagas.WorkLedger;

namespace Api.BatchInference;

static class BatchJobsApi
{
    const int MostListed = 200;

    public static RouteGroupBuilder MapBatchJobs(this RouteGroupBuilder api)
    {
        var jobs = api.MapGroup("/batch-inference/jobs").WithTags("Batch inference");

        jobs.MapPost("", SubmitAsync).WithName("SubmitBatchJob").WithSummary("Score a table with a model").Accepted<BatchJobAccepted>(400, 409, 413, 415, 422, 429, 503).TakesIdempotencyKey().Needs(Role.Operator);
        jobs.MapGet("", ListAsync).WithName("ListBatchJobs").WithSummary("Jobs, newest first").Problems(400).Needs(Role.Viewer);
        jobs.MapGet("/{id:guid}", GetAsync).WithName("GetBatchJob").WithSummary("A job and how far it is").Problems(404).Needs(Role.Viewer);
        jobs.MapGet("/{id:guid}/shards", ShardsAsync).WithName("ListBatchJobShards").WithSummary("The pieces of a job, in order").Problems(400, 404).Needs(Role.Viewer);
        jobs.MapGet("/{id:guid}/results", ResultsAsync).WithName("GetBatchJobResults").WithSummary("Manifest and files of a finished job").Problems(404, 409).Needs(Role.Viewer);
        jobs.MapGet("/{id:guid}/events", EventsAsync).WithName("WatchBatchJob").WithSummary("Live progress as server-sent events, to the end").Problems(404).Needs(Role.Viewer).AtOwnPace();
        jobs.MapPost("/{id:guid}/cancel", CancelAsync).WithName("CancelBatchJob").WithSummary("Stop a job that is not publishing yet").Accepted<BatchJobStopping>(404, 409).Needs(Role.Operator);
        return api;
    }

    static Task<Answer> SubmitAsync(HttpContext context, JsonBody<SubmitBatchJobRequest> body, BatchJobSubmission submission, CancellationToken cancellationToken) =>
        submission.SubmitAsync(context, "batch-inference/jobs", body.Value, body.Errors, body.Sha256, BatchJobAccepted.Of, cancellationToken);

    static async Task<Results<Ok<BatchJobList>, ProblemHttpResult>> ListAsync(
        PlatformDbContext db, TimeProvider clock, CancellationToken cancellationToken,
        string? status = null, int limit = 50, string? after = null)
    {
        if (status is not null && !BatchJobStatus.All.Contains(status))
            return Problem.From("invalid_request", "status", "out_of_range", $"Must be one of {string.Join(", ", BatchJobStatus.All)}.");
        if (limit is < 1 or > MostListed)
            return Problem.From("invalid_request", "limit", "out_of_range", $"Must be 1 to {MostListed}.");
        var place = after is null ? null : ListPlace.Read(after);
        if (after is not null && place is null)
            return Problem.From("invalid_request", "after", "invalid_text", "Must be what an earlier answer gave as next.");

        var page = await db.BatchJobsAsync(status, place, limit + 1, cancellationToken);
        var next = page.Count > limit ? new ListPlace(page[limit - 1].Job.AcceptedAt, page[limit - 1].Job.Id).Write() : null;
        var now = clock.GetUtcNow();
        return TypedResults.Ok(new BatchJobList([.. page.Take(limit).Select(r => BatchJobView.Summary(r, now))], next));
    }

    static async Task<Results<Ok<BatchJobView>, ProblemHttpResult>> GetAsync(
        Guid id, PlatformDbContext db, TimeProvider clock, CancellationToken cancellationToken) =>
        await db.BatchJobAsync(id, cancellationToken) is { } row
            ? TypedResults.Ok(BatchJobView.Of(row, clock.GetUtcNow()))
            : Problem.JobNotFound(id);

    static async Task<Results<Ok<ShardList>, ProblemHttpResult>> ShardsAsync(
        Guid id, PlatformDbContext db, CancellationToken cancellationToken,
        WorkUnitState? state = null, int limit = MostListed, int? after = null)
    {
        if (limit is < 1 or > MostListed)
            return Problem.From("invalid_request", "limit", "out_of_range", $"Must be 1 to {MostListed}.");
        if (await db.BatchJobAsync(id, cancellationToken) is null)
            return Problem.JobNotFound(id);

        var units = await db.WorkUnits.AsNoTracking()
            .Where(u => u.JobId == id && (state == null || u.State == state) && (after == null || u.Unit > after))
            .OrderBy(u => u.Unit).Take(limit + 1).ToListAsync(cancellationToken);
        return TypedResults.Ok(new ShardList([.. units.Take(limit).Select(ShardView.Of)], units.Count > limit ? units[limit - 1].Unit : null));
    }

    static async Task<Results<Ok<BatchJobResults>, ProblemHttpResult>> ResultsAsync(
        HttpContext context, Guid id, PlatformDbContext db, ArtifactStore store, CancellationToken cancellationToken)
    {
        if (await db.BatchJobAsync(id, cancellationToken) is not { } row)
            return Problem.JobNotFound(id);
        if (!row.IsFinal)
            return Problem.From("job_not_finished", $"The job is {row.Status}. Its results appear when it is Completed or CompletedWithErrors.");
        if (row.Saga is not { ManifestUri: { } uri, ManifestSha256: { } sha256 })
            return Problem.From("no_results", $"The job is {row.Status} and published nothing.");

        var manifest = JsonSerializer.Deserialize<JsonElement>(await store.For(Tenant.Of(context)).ReadAsync(uri, ArtifactAccess.Output, cancellationToken));
        string[] files = [uri, .. FileNames(manifest, "parts").Concat(FileNames(manifest, "quarantine")).Select(name => FileUri.Beside(uri, name))];
        return TypedResults.Ok(new BatchJobResults(id, row.Status, uri, sha256, files, manifest));
    }

    static IEnumerable<string> FileNames(JsonElement manifest, string list) =>
        manifest.GetProperty(list).EnumerateArray().Select(file => file.GetProperty("file").GetString()!);

    static async Task<IResult> EventsAsync(
        HttpContext context, Guid id, PlatformDbContext db, JobFeeds feeds, CallerLease lease, StreamLimits streams, CancellationToken cancellationToken)
    {
        if (await db.BatchJobAsync(id, cancellationToken) is not { } row)
            return Problem.JobNotFound(id);
        var seen = ProgressEventId.Read(context.Request.Headers["Last-Event-ID"]);
        // What an event source understands as: do not come back.
        if (seen is { IsEnd: true } && row.IsFinal)
            return TypedResults.NoContent();
        streams.Take(context);
        context.Response.Headers["X-Accel-Buffering"] = "no";
        return TypedResults.ServerSentEvents(ReadAsync(context.Caller(), id, seen?.Rows ?? 0, feeds, lease, cancellationToken));
    }

    static async IAsyncEnumerable<SseItem<JobProgress>> ReadAsync(
        Caller caller, Guid id, long rowsSeen, JobFeeds feeds, CallerLease lease, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var progress in feeds.FollowAsync(caller.Tenant, id, cancellationToken))
        {
            if (!await lease.IsGoodAsync(caller, cancellationToken))
                yield break;
            var shown = progress.NotBehind(rowsSeen);
            yield return new SseItem<JobProgress>(shown)
            {
                EventId = new ProgressEventId(shown.RowsDone, shown.IsEnd).Write(),
                ReconnectionInterval = TimeSpan.FromSeconds(1),
            };
        }
    }

    static Task<Results<Ok<BatchJobStopping>, Accepted<BatchJobStopping>, ProblemHttpResult>> CancelAsync(
        HttpContext context, Guid id, JsonBody<CancelBatchJobRequest> body, BatchJobCancellation cancellation, CancellationToken cancellationToken) =>
        cancellation.CancelAsync(context.Caller(), id, body.Value, body.Errors, cancellationToken);
}

/// <summary>The job is on its way. The rest is at <paramref name="Links"/>.</summary>
public sealed record BatchJobAccepted(Guid Id, string Status, JobLinks Links)
{
    internal static BatchJobAccepted Of(Guid id) => new(id, BatchJobStatus.Submitted, JobLinks.Of(id));
}

/// <param name="Reason">Kept with the job and in the audit. Without authentication the default is <c>requested</c>.</param>
public sealed record CancelBatchJobRequest(string? Reason = null);

public sealed record BatchJobStopping(Guid Id, string Status);
