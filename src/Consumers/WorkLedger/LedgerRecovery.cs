using MassTransit;
using Messaging.Postgres;
using Microsoft.EntityFrameworkCore;
using Sagas.Persistence;
using Sagas.WorkLedger;

namespace Consumers.WorkLedger;

/// <summary>On the in-memory bus nothing is in flight when a process starts: every unit that was is free again at once.</summary>
public sealed class LedgerRecovery(PlatformDbContext db)
{
    /// <returns>Units that no worker is on any more.</returns>
    public async Task<int> ReturnUnitsAsync(CancellationToken cancellationToken)
    {
        await using var transaction = await db.Database.BeginTransactionAsync(cancellationToken);
        var jobIds = await db.WorkUnits.Where(u => u.State == WorkUnitState.Dispatched || u.State == WorkUnitState.Running)
            .Select(u => u.JobId).Distinct().ToArrayAsync(cancellationToken);
        await db.LockJobsAsync(jobIds, cancellationToken);
        // Orders not yet sent would bring workers onto units that are about to be ordered anew.
        foreach (var jobId in jobIds)
            await db.DeleteUnsentMessagesAsync(jobId, cancellationToken);
        var units = await db.Database.ExecuteSqlAsync(
            $"""
            WITH begun AS (
                SELECT job_id, sum(rows) AS rows FROM sagas.work_units WHERE job_id = ANY({jobIds}) AND state = 2 GROUP BY job_id),
            counted AS (
                UPDATE sagas.work_jobs j SET rescored = rescored + b.rows FROM begun b WHERE j.id = b.job_id)
            UPDATE sagas.work_units SET state = 0, lease_until = NULL, dispatch_id = NULL, rows_done = 0
            WHERE job_id = ANY({jobIds}) AND state IN (1, 2)
            """, cancellationToken);
        await db.WorkWorkers.ExecuteDeleteAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return units;
    }
}
