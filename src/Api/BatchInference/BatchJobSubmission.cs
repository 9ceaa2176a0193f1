using Api.Requests;
using Api.Security;
using Contracts;
using Contracts.BatchInference;
using MassTransit;
using Microsoft.AspNetCore.Http;
using Sagas.BatchInference;
using Sagas.Persistence;
using Sagas.WorkLedger;

namespace Api.BatchInference;

/// <summary>Accepts a job: its ledger row, the message that starts its saga and the kept answer are one transaction.</summary>
sealed class BatchJobSubmission(PlatformDbContext db, IPublishEndpoint publish, Idempotency idempotency, TenantQuotas quotas, BatchJobSpecs specs, TimeProvider clock)
{
    /// <param name="route">Canonical name of the route: the same Idempotency-Key on another route is another request.</param>
    /// <param name="answer">What the caller's route says of the new job.</param>
    public async Task<Answer> SubmitAsync<T>(
        HttpContext context, string route, SubmitBatchJobRequest request, FieldErrors errors, string bodySha256, Func<Guid, T> answer,
        CancellationToken cancellationToken)
    {
        var caller = context.Caller();
        var key = RequestKey.Of(context, route, bodySha256);
        if (await idempotency.FindAsync(key, cancellationToken) is { } first)
            return first;

        await quotas.CheckJobsAsync(cancellationToken);
        var spec = await specs.MakeAsync(caller.Tenant, request, errors, cancellationToken);
        var id = NewId.NextSequentialGuid();
        var accepted = Answer.Of(StatusCodes.Status202Accepted, answer(id), JobLinks.Of(id).Self);
        return await idempotency.SaveAsync(
            key, accepted, () => OpenAsync(db, publish, new NewBatchJob(id, caller.Tenant, spec, RequestedBy: caller.Id), clock.GetUtcNow(), cancellationToken), cancellationToken);
    }

    /// <summary>What every door does once the request is found right. The caller saves and commits.</summary>
    /// <param name="outbox">Of the transaction in which the row is saved.</param>
    public static async Task OpenAsync(PlatformDbContext db, IPublishEndpoint outbox, NewBatchJob job, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var (id, tenant, spec, reference, requestSha256, requestedBy) = job;
        var row = db.WorkJobs.Open(id, tenant, BatchWork.Kind, WireJson.Write(spec), spec.Priority, spec.MaxErrorRate, spec.MaxErrors, now);
        row.Reference = reference;
        row.RequestSha256 = requestSha256;
        row.RequestedBy = requestedBy;
        await outbox.Publish(new SubmitBatchJob(id, tenant, spec), cancellationToken);
        var started = new BatchInferenceOutput(BatchEventTypes.Started, id, tenant, reference, BatchJobStatus.Submitted, now, Links: JobLinks.Of(id));
        await outbox.AnnounceAsync(started, cancellationToken);
    }
}

/// <param name="Reference">What the sender of a message calls it.</param>
/// <param name="RequestSha256">Of the request in a message.</param>
/// <param name="RequestedBy">Id of the caller; null for a message.</param>
sealed record NewBatchJob(Guid Id, string Tenant, BatchJobSpec Spec, string? Reference = null, string? RequestSha256 = null, string? RequestedBy = null);
