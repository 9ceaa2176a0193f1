using MassTransit;
using Messaging.Postgres;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;
using Sagas.Persistence;
using Sagas.WorkLedger;

namespace Consumers.WorkLedger;

/// <summary>On the in-memory bus nothing is in flight when a process starts: every unit that was is free again at once.</summary>
public sealed class LedgerRecovery(PlatformDbContext db, IEnumerable<WorkKind> kinds, IPublishEndpoint outbox, IOptions<WorkLedgerOptions> options)
{
    /// <returns>Units that no worker is on any more.</returns>
    public async Task<int> ReturnUnitsAsync(CancellationToken cancellationToken)
    {
        await using var transaction = await db.Database.BeginTransactionAsync(cancellationToken);
        var flying = await db.WorkUnits.AsNoTracking()
            .Where(u => u.State == WorkUnitState.Dispatched || u.State == WorkUnitState.Running).OrderBy(u => u.Unit).ToListAsync(cancellationToken);
        foreach (var job in await db.LockJobsAsync([.. flying.Select(u => u.JobId).Distinct()], cancellationToken))
        {
            // Orders not yet sent would bring workers onto units that are about to be ordered anew.
            await db.DeleteUnsentMessagesAsync(job.Id, cancellationToken);
            await db.TakeBackAsync(job, [.. flying.Where(u => u.JobId == job.Id)], kinds.Of(job), options.Value, outbox, cancellationToken);
        }

        await db.WorkWorkers.ExecuteDeleteAsync(cancellationToken);
        await db.SaveChangesAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return flying.Count;
    }
}
