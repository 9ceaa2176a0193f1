using Api.BatchInference;
using Api.Models;
using Api.OnlineScoring;
using Api.Requests;
using Api.Security;
using Api.Security.Audit;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Sagas.Persistence;

namespace Api;

/// <summary>Paths and bodies that clients already use. The handlers are those of the canonical routes.</summary>
static class CompatibilityRoutes
{
    // What these callers mean when they do not say it.
    const int BatchSize = 100_000;

    static readonly Dictionary<string, string> FieldNames = new()
    {
        ["model"] = "modelName",
        ["input.uri"] = "dataSource",
        ["input.format"] = "dataSource",
        ["output.uri"] = "outputDestination",
        ["output.format"] = "outputDestination",
    };

    public static void MapCompatibilityRoutes(this IEndpointRouteBuilder app)
    {
        var routes = app.MapGroup("").WithTags("Compatibility");
        var views = routes.MapGroup("").Needs(Role.Viewer);

        routes.MapPost("/api/v1/batch/inference", SubmitAsync).WithName("CompatibleSubmit").WithSummary("As POST /api/v1/batch-inference/jobs")
            .Accepted<CompatibleAccepted>(400, 409, 413, 415, 422, 429, 503).TakesIdempotencyKey().Needs(Role.Operator);
        views.MapGet("/api/v1/batch/inference/{jobId:guid}/status", StatusAsync).WithName("CompatibleStatus").WithSummary("As GET /api/v1/batch-inference/jobs/{id}, the status in upper case").Problems(404);
        views.MapGet("/api/v1/batch-inference/models", ModelsApi.ListAsync).WithName("CompatibleModels").WithSummary("As GET /api/v1/models");
        views.MapGet("/api/v1/batch-inference/models/{name}", ModelsApi.GetAsync).WithName("CompatibleModel").WithSummary("As GET /api/v1/models/{name}").Problems(404);
        routes.MapPost("/api/v1/batch-inference/models/cache/clear", ClearCacheAsync).WithName("ClearModelCache").WithSummary("Every worker closes the models that nobody uses")
            .Problems(400, 503).Needs(Role.Operator).OfHomeOnly();
        views.MapGet("/api/v1/batch-inference/health", HealthAsync).WithName("CompatibleHealth").WithSummary("As GET /health");
        views.MapGet("/actuator/health", HealthAsync).WithName("ActuatorHealth").WithSummary("As GET /health");
    }

    static Task<Answer> SubmitAsync(HttpContext context, JsonBody<CompatibleSubmission> body, BatchJobSubmission submission, CancellationToken cancellationToken)
    {
        var asked = body.Value;
        var request = new SubmitBatchJobRequest(
            Model: asked.ModelName,
            Input: asked.DataSource is null ? null : new JobInput(Uri(asked.DataSource)),
            Output: asked.OutputDestination is null ? null : new JobOutput(Uri(asked.OutputDestination)),
            BatchSize: asked.BatchSize ?? BatchSize);
        return submission.SubmitAsync(
            context, "batch/inference", request, body.Errors.Named(FieldNames), body.Sha256, id => new CompatibleAccepted(id, Upper(BatchJobStatus.Submitted)), cancellationToken);
    }

    // These callers also give plain paths.
    static string Uri(string place) => place.StartsWith('/') ? Artifacts.FileUri.FromPath(place) : place;

    static async Task<Results<Ok<CompatibleStatus>, ProblemHttpResult>> StatusAsync(
        Guid jobId, PlatformDbContext db, TimeProvider clock, CancellationToken cancellationToken)
    {
        if (await db.BatchJobAsync(jobId, cancellationToken) is not { } row)
            return Problem.JobNotFound(jobId);
        var job = BatchJobView.Of(row, clock.GetUtcNow());
        return TypedResults.Ok(new CompatibleStatus(jobId, Upper(job.Status), job.Progress.Percent, job.Progress.RowsTotal, job.Progress.RowsDone, job.Failure?.Message));
    }

    static async Task<Ok<CacheCleared>> ClearCacheAsync(
        HttpContext context, JsonBody<ReasonRequest> body, ModelCaches caches, PlatformDbContext db, CancellationToken cancellationToken)
    {
        var caller = context.Caller();
        var reason = Reason.Read(body.Value.Reason, caller, body.Errors);
        body.Errors.ThrowIfAny();
        var cleared = await caches.ClearAsync(cancellationToken);
        await using var transaction = await db.Database.BeginTransactionAsync(cancellationToken);
        await db.AuditAsync(new AuditAction(caller, "model-cache.clear", $"{cleared.Answered} of {cleared.Workers} workers", reason), cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return TypedResults.Ok(cleared);
    }

    static string Upper(string status) => status.ToUpperInvariant();

    static async Task<IResult> HealthAsync(HealthCheckService checks, CancellationToken cancellationToken)
    {
        var report = await checks.CheckHealthAsync(cancellationToken);
        return report.Status == HealthStatus.Unhealthy
            ? TypedResults.Json(new CompatibleHealth("DOWN"), statusCode: StatusCodes.Status503ServiceUnavailable)
            : TypedResults.Ok(new CompatibleHealth("UP"));
    }
}

/// <param name="DataSource">A path or a <c>file://</c> URI.</param>
/// <param name="OutputDestination">A path or a <c>file://</c> URI.</param>
public sealed record CompatibleSubmission(string? DataSource = null, string? ModelName = null, string? OutputDestination = null, int? BatchSize = null);

public sealed record CompatibleAccepted(Guid JobId, string Status);

public sealed record CompatibleStatus(Guid JobId, string Status, double Percent, long RowsTotal, long RowsDone, string? Message);

public sealed record CompatibleHealth(string Status);
