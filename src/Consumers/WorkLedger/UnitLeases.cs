using Contracts.WorkLedger;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;
using Sagas.Persistence;
using Sagas.WorkLedger;

namespace Consumers.WorkLedger;

/// <summary>A heartbeat makes a dispatched unit a running one and gives its worker another lease.</summary>
public sealed class UnitLeases(PlatformDbContext db, IOptions<WorkLedgerOptions> options)
{
    // Units locked by a commit are skipped: they need no lease any more, and nobody waits for nobody.
    public Task ExtendAsync(IReadOnlyList<UnitHeartbeat> beats, CancellationToken cancellationToken)
    {
        Guid[] jobs = [.. beats.Select(b => b.JobId)], executions = [.. beats.Select(b => b.Execution)];
        int[] units = [.. beats.Select(b => b.Unit)], attempts = [.. beats.Select(b => b.Attempt)];
        string[] workers = [.. beats.Select(b => b.Worker)];
        long[] rows = [.. beats.Select(b => b.RowsDone)];
        return db.Database.ExecuteSqlAsync(
            $"""
            WITH beats AS (
                SELECT DISTINCT ON (job, unit) * FROM unnest({jobs}, {units}, {attempts}, {executions}, {workers}, {rows})
                    AS b (job, unit, attempt, execution, worker, rows) ORDER BY job, unit, rows DESC),
            alive AS (
                SELECT b.* FROM sagas.work_units u JOIN beats b ON u.job_id = b.job AND u.unit = b.unit AND u.attempt = b.attempt
                WHERE u.state IN (1, 2) ORDER BY u.job_id, u.unit FOR UPDATE OF u SKIP LOCKED)
            UPDATE sagas.work_units u SET state = 2, execution = a.execution, worker = a.worker, rows_done = least(u.rows, a.rows),
                lease_until = clock_timestamp() + {options.Value.RunLease}, started_at = coalesce(u.started_at, clock_timestamp())
            FROM alive a WHERE u.job_id = a.job AND u.unit = a.unit
            """, cancellationToken);
    }
}
