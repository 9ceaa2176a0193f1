using Contracts;
using MassTransit;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;
using Sagas.Persistence;
using Sagas.WorkLedger;

namespace Consumers.WorkLedger;

/// <summary>One execution of a unit gave up, and said why.</summary>
public sealed record UnitFailure(Guid JobId, int Epoch, int Unit, int Attempt, Failure Failure, bool Retryable, double RowsPerSecond);

/// <summary>The ledger retries, not the broker: again, cut in two, or the job fails. Runs in the consumer's transaction.</summary>
public sealed class UnitFailures(PlatformDbContext db, IEnumerable<WorkKind> kinds, IOptions<WorkLedgerOptions> options)
{
    /// <summary>Pieces of a unit that took too long are made for this many seconds.</summary>
    const double PieceSeconds = 10;

    public async Task RecordAsync(UnitFailure report, IPublishEndpoint outbox, CancellationToken cancellationToken)
    {
        if (await db.LockJobsAsync([report.JobId], cancellationToken) is not [{ State: WorkJobState.Running } job] || job.Epoch != report.Epoch)
            return;
        // Only the attempt now in flight may fail: a repeated or late report changes nothing.
        var unit = await db.WorkUnits.AsNoTracking().SingleOrDefaultAsync(
            u => u.JobId == report.JobId && u.Unit == report.Unit && u.Attempt == report.Attempt
                && (u.State == WorkUnitState.Dispatched || u.State == WorkUnitState.Running), cancellationToken);
        if (unit is null)
            return;

        var kind = kinds.Of(job);
        unit.LastFailure = WireJson.Write(report.Failure);
        if (!report.Retryable)
        {
            await db.FailJobAsync(job, report.Failure, kind, outbox, cancellationToken);
        }
        else if (report.Failure.Code == FailureCodes.WorkerLost)
        {
            await db.TakeBackAsync(job, [unit], kind, options.Value, outbox, cancellationToken);
        }
        else if (report.Failure.Code == FailureCodes.ArtifactsUnavailable)
        {
            // Not a try: rows would be cut and blamed for an outage. The job's deadline ends it.
            await db.ReturnAsync(unit, cancellationToken);
        }
        else if (report.Failure.Code == FailureCodes.TooLong && unit.Unit >= 0 && unit.Rows > 1 && kind.Split is not null)
        {
            var most = Math.Clamp((long)(report.RowsPerSecond * PieceSeconds), 1, (unit.Rows + 1) / 2);
            await db.SplitAsync(unit, most, kind, options.Value, cancellationToken);
        }
        else if (++unit.Failures >= options.Value.FailureLimit)
        {
            await db.GiveUpAsync(job, unit, report.Failure, kind, options.Value, outbox, cancellationToken);
        }
        else
        {
            await db.ReturnAsync(unit, cancellationToken);
        }
    }
}
