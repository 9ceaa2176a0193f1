using System.Runtime.CompilerServices;
using Api.Requests;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata;
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

    // Compiled queries know one model: hosts in one process have one each.
    static readonly ConditionalWeakTable<IModel, CompiledQuery> Queries = [];

    /// <summary>Newest first.</summary>
    /// <param name="after">The last one of the page before.</param>
    public static ValueTask<List<JobRow>> BatchJobsAsync(this PlatformDbContext db, string? status, ListPlace? after, int most, CancellationToken cancellationToken) =>
        db.Query().Read(db, null, status, after?.At, after?.Id ?? default, most).ToListAsync(cancellationToken);

    public static ValueTask<JobRow?> BatchJobAsync(this PlatformDbContext db, Guid id, CancellationToken cancellationToken) =>
        db.Query().Read(db, id, null, null, default, 1).FirstOrDefaultAsync(cancellationToken);

    static CompiledQuery Query(this PlatformDbContext db) => Queries.GetValue(db.Model, _ => new CompiledQuery());

    /// <summary>Polled by whoever waits for a job: putting the query together each time would cost more than its answer.</summary>
    sealed class CompiledQuery
    {
        // The ledger is ahead of the saga for a moment after it ended a job: what it says is already true.
        public readonly Func<PlatformDbContext, Guid?, string?, DateTimeOffset?, Guid, int, IAsyncEnumerable<JobRow>> Read = EF.CompileAsyncQuery(
            (PlatformDbContext db, Guid? id, string? status, DateTimeOffset? before, Guid beforeId, int most) =>
                (from job in db.WorkJobs.AsNoTracking()
                 where job.Kind == BatchWork.Kind && (id == null || job.Id == id)
                     && (before == null || job.AcceptedAt < before || (job.AcceptedAt == before && job.Id.CompareTo(beforeId) < 0))
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
                 })
                .Where(r => status == null || r.Status == status)
                .OrderByDescending(r => r.Job.AcceptedAt).ThenByDescending(r => r.Job.Id)
                .Take(most));
    }
}
