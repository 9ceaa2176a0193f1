using Microsoft.EntityFrameworkCore;
using Sagas.BatchInference;
using Sagas.Persistence;
using Sagas.WorkLedger;

namespace Api.BatchInference;

/// <summary>A job's ledger row beside its saga, which may not exist yet, and the status that follows from both.</summary>
sealed record JobRow
{
    public required WorkJob Job { get; init; }
    public required BatchJobState? Saga { get; init; }
    public required string Status { get; init; }

    /// <summary>Rows that workers have finished in shards not yet committed.</summary>
    public required long RowsRunning { get; init; }

    public bool IsFinal => Saga is not null && BatchJobStateMachine.FinalStates.Contains(Saga.CurrentState);

    public DateTimeOffset? EndedAt => Saga?.EndedAt ?? (IsFinal ? Job.EndedAt : null);
}

static class BatchJobStatus
{
    public const string Submitted = nameof(Submitted);

    public static readonly string[] All =
    [
        Submitted, nameof(BatchJobStateMachine.Queued), nameof(BatchJobStateMachine.Planning), nameof(BatchJobStateMachine.Scoring),
        nameof(BatchJobStateMachine.Publishing), nameof(BatchJobStateMachine.Cancelling), .. BatchJobStateMachine.FinalStates,
    ];

    static readonly string[] Final = [.. BatchJobStateMachine.FinalStates];

    // The ledger is ahead of the saga for a moment after it ended a job: what it says is already true.
    public static IQueryable<JobRow> BatchJobRows(this PlatformDbContext db) =>
        from job in db.WorkJobs.AsNoTracking()
        where job.Kind == BatchWork.Kind
        join saga in db.BatchJobs.AsNoTracking() on job.Id equals saga.CorrelationId into sagas
        from saga in sagas.DefaultIfEmpty()
        select new JobRow
        {
            Job = job,
            Saga = saga,
            Status = saga != null && Final.Contains(saga.CurrentState) ? saga.CurrentState
                : job.State == WorkJobState.Stopped ? nameof(BatchJobStateMachine.Cancelling)
                : job.State == WorkJobState.Failed ? nameof(BatchJobStateMachine.Failed)
                : saga != null ? saga.CurrentState
                : Submitted,
            RowsRunning = db.WorkUnits.Where(u => u.JobId == job.Id && u.Unit >= 0 && u.State == WorkUnitState.Running).Sum(u => u.RowsDone),
        };

    public static Task<JobRow?> BatchJobAsync(this PlatformDbContext db, Guid id, CancellationToken cancellationToken) =>
        db.BatchJobRows().SingleOrDefaultAsync(r => r.Job.Id == id, cancellationToken);
}
