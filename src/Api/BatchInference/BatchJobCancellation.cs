using Api.Requests;
using Api.Security;
using Api.Security.Audit;
using Contracts;
using Contracts.BatchInference;
using Contracts.WorkLedger;
using MassTransit;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.EntityFrameworkCore;
using Sagas.BatchInference;
using Sagas.Persistence;
using Sagas.WorkLedger;

namespace Api.BatchInference;

/// <summary>Stops a job under its ledger row's lock: from the commit on, no shard's result counts any more.</summary>
sealed class BatchJobCancellation(PlatformDbContext db, IPublishEndpoint publish, LedgerSignal signal)
{
    public async Task<Results<Ok<BatchJobStopping>, Accepted<BatchJobStopping>, ProblemHttpResult>> CancelAsync(
        Caller caller, Guid id, CancelBatchJobRequest request, FieldErrors errors, CancellationToken cancellationToken)
    {
        var reason = Reason.Read(request.Reason, caller, errors);
        errors.ThrowIfAny();

        if (!await db.WorkJobs.AnyAsync(j => j.Id == id && j.Kind == BatchWork.Kind, cancellationToken))
            return Problem.JobNotFound(id);

        await using var transaction = await db.Database.BeginTransactionAsync(cancellationToken);
        if (await db.EndWorkAsync(id, WorkJobState.Stopped, new Failure("cancelled", reason), cancellationToken) is not { } end)
            return Problem.JobNotFound(id);
        if (end.Found is WorkJobState.Stopped or WorkJobState.Failed or WorkJobState.Committed or WorkJobState.Completed)
        {
            await transaction.RollbackAsync(cancellationToken);
            return await ShowAsync(id, end.Found, cancellationToken);
        }

        await publish.Publish(new CancelBatchJob(id, caller.Tenant, reason), cancellationToken);
        await publish.Publish(new StopJob(id, end.Epoch), cancellationToken);
        await db.SaveChangesAsync(cancellationToken);
        await db.AuditAsync(new AuditAction(caller, "batch-job.cancel", id.ToString(), reason), cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        signal.Set();
        return Stopping(id, nameof(BatchJobStateMachine.Cancelling));
    }

    async Task<Results<Ok<BatchJobStopping>, Accepted<BatchJobStopping>, ProblemHttpResult>> ShowAsync(
        Guid id, string found, CancellationToken cancellationToken)
    {
        var status = (await db.BatchJobAsync(id, cancellationToken))!.Status;
        return (found, status) switch
        {
            (_, nameof(BatchJobStateMachine.Cancelled)) => TypedResults.Ok(new BatchJobStopping(id, status)),
            (WorkJobState.Stopped, nameof(BatchJobStateMachine.Cancelling)) => Stopping(id, status),
            (WorkJobState.Committed, _) => Problem.From("job_past_cancel", $"The job is {status}: all its shards are scored, and it cannot be cancelled any more."),
            _ => Problem.From("job_ended", $"The job is {status} already."),
        };
    }

    static Accepted<BatchJobStopping> Stopping(Guid id, string status) =>
        TypedResults.Accepted(JobLinks.Of(id).Self, new BatchJobStopping(id, status));
}
