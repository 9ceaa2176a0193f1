using Contracts;
using Contracts.WorkLedger;
using MassTransit;
using MassTransit.Logging;
using Microsoft.EntityFrameworkCore;
using Sagas.Persistence;
using Sagas.WorkLedger;

namespace Consumers.WorkLedger;

/// <summary>Steps that commit, failure and reaper share. All run under the job rows' locks, in one transaction of the caller.</summary>
static class LedgerRows
{
    // Always in id order: two batches that share jobs must not wait for each other.
    public static Task<List<WorkJob>> LockJobsAsync(this PlatformDbContext db, Guid[] jobIds, CancellationToken cancellationToken) =>
        db.WorkJobs.FromSql($"SELECT * FROM sagas.work_jobs WHERE id = ANY({jobIds}) ORDER BY id FOR UPDATE")
            .AsNoTracking().ToListAsync(cancellationToken);

    /// <summary>Slots that workers announced lately; at least one is assumed.</summary>
    public static async Task<int> SlotsAsync(this PlatformDbContext db, WorkLedgerOptions options, CancellationToken cancellationToken) =>
        Math.Max(1, await db.Database.SqlQuery<int>(
            $"""
            SELECT coalesce(sum(slots), 0)::int AS "Value" FROM sagas.work_workers WHERE seen_at > clock_timestamp() - {options.WorkerLease}
            """).SingleAsync(cancellationToken));

    public static WorkKind Of(this IEnumerable<WorkKind> kinds, WorkJob job) => kinds.Single(k => k.Name == job.Kind);

    public static Task PublishFact(this IPublishEndpoint outbox, WorkJob job, object fact, CancellationToken cancellationToken) =>
        outbox.Publish(fact, fact.GetType(), context => context.Follow(job), cancellationToken);

    /// <summary>The ledger acts by itself, or for several jobs at once: each message goes on with its own job's trace.</summary>
    public static void Follow(this SendContext context, WorkJob job)
    {
        if (job.Trace is not null)
            context.Headers.Set(DiagnosticHeaders.ActivityId, job.Trace);
    }

    public static async Task FailJobAsync(
        this PlatformDbContext db, WorkJob job, Failure failure, WorkKind kind, IPublishEndpoint outbox, CancellationToken cancellationToken)
    {
        if (await db.EndWorkAsync(job.Id, WorkJobState.Failed, failure, cancellationToken) is not { } end || end.Epoch == job.Epoch)
            return;
        job.State = WorkJobState.Failed;
        await outbox.PublishFact(job, kind.Failed(job, failure), cancellationToken);
        await outbox.PublishFact(job, new StopJob(job.Id, end.Epoch), cancellationToken);
    }

    public static Task ReturnAsync(this PlatformDbContext db, WorkUnit unit, CancellationToken cancellationToken) =>
        db.Database.ExecuteSqlAsync(
            $"""
            UPDATE sagas.work_units SET state = 0, failures = {unit.Failures}, crashes = {unit.Crashes}, spec = {unit.Spec}::jsonb,
                last_failure = {unit.LastFailure}::jsonb, lease_until = NULL, dispatch_id = NULL, rows_done = 0
            WHERE job_id = {unit.JobId} AND unit = {unit.Unit} AND state IN (1, 2)
            """, cancellationToken);

    /// <summary>
    /// Replaces a unit by pieces of at most <paramref name="most"/> rows. A piece has one try less than a fresh unit before it is cut
    /// again, so that the rows to blame are found in few steps; a single row gets all its tries, for it may be innocent.
    /// </summary>
    public static async Task SplitAsync(
        this PlatformDbContext db, WorkUnit unit, long most, WorkKind kind, WorkLedgerOptions options, CancellationToken cancellationToken)
    {
        List<(string Spec, long Rows)> pieces = [];
        var rest = (unit.Spec, unit.Rows);
        while (rest.Rows > most)
        {
            var (first, second) = kind.Split!(rest.Spec, most);
            pieces.Add((first, most));
            rest = (second, rest.Rows - most);
        }

        pieces.Add(rest);
        string[] specs = [.. pieces.Select(p => p.Spec)];
        long[] rows = [.. pieces.Select(p => p.Rows)];
        int[] failures = [.. rows.Select(r => r == 1 ? 0 : Math.Min(unit.Failures, options.FailureLimit - 1))];
        int[] crashes = [.. rows.Select(r => r == 1 ? Math.Min(unit.Crashes, Math.Max(0, options.CrashLimit - 3)) : Math.Min(unit.Crashes, options.CrashLimit - 1))];
        await db.Database.ExecuteSqlAsync(
            $"""
            WITH old AS (
                UPDATE sagas.work_units SET state = {(short)WorkUnitState.Split}, rows = 0, rows_done = 0, lease_until = NULL, last_failure = {unit.LastFailure}::jsonb
                WHERE job_id = {unit.JobId} AND unit = {unit.Unit}),
            pieces AS (
                INSERT INTO sagas.work_units (job_id, tenant, unit, state, attempt, failures, crashes, rows, rows_done, spec, scored, quarantined, elapsed_ms)
                SELECT {unit.JobId}, {unit.Tenant}, (SELECT max(unit) FROM sagas.work_units WHERE job_id = {unit.JobId}) + p.nr, 0, 0, p.failures, p.crashes, p.rows, 0, p.spec::jsonb, 0, 0, 0
                FROM unnest({specs}, {rows}, {failures}, {crashes}) WITH ORDINALITY AS p (spec, rows, failures, crashes, nr))
            UPDATE sagas.work_jobs SET total_units = total_units + {specs.Length - 1} WHERE id = {unit.JobId}
            """, cancellationToken);
    }

    /// <summary>A unit at its limit: halved, or, down to one row, its row put in quarantine. What cannot be cut fails the job.</summary>
    public static async Task GiveUpAsync(
        this PlatformDbContext db, WorkJob job, WorkUnit unit, Failure failure, WorkKind kind, WorkLedgerOptions options, IPublishEndpoint outbox,
        CancellationToken cancellationToken)
    {
        if (unit.Unit < 0 || kind.Split is null || kind.Blame is null || kind.IsBlamed!(unit.Spec))
        {
            await db.FailJobAsync(job, failure, kind, outbox, cancellationToken);
        }
        else if (unit.Rows > 1)
        {
            await db.SplitAsync(unit, (unit.Rows + 1) / 2, kind, options, cancellationToken);
        }
        else
        {
            unit.Spec = kind.Blame(unit.Spec, failure);
            (unit.Failures, unit.Crashes) = (0, 0);
            await db.ReturnAsync(unit, cancellationToken);
        }
    }

    /// <summary>
    /// Frees units that have lost their worker. Only one that the worker had begun may be to blame for that, and has rows to be done again.
    /// </summary>
    public static async Task TakeBackAsync(
        this PlatformDbContext db, WorkJob job, IReadOnlyList<WorkUnit> units, WorkKind kind, WorkLedgerOptions options, IPublishEndpoint outbox,
        CancellationToken cancellationToken)
    {
        foreach (var unit in units)
        {
            // One of them may have failed the job, which skipped the rest.
            if (job.State != WorkJobState.Running)
                return;
            if (unit.State == WorkUnitState.Running)
            {
                await db.Database.ExecuteSqlAsync($"UPDATE sagas.work_jobs SET rescored = rescored + {unit.Rows} WHERE id = {job.Id}", cancellationToken);
                unit.Crashes++;
            }

            if (unit.State == WorkUnitState.Running && unit.Crashes >= options.CrashLimit)
            {
                var failure = new Failure(FailureCodes.CrashesModel, $"The worker was lost {unit.Crashes} times on these rows.");
                await db.GiveUpAsync(job, unit, failure, kind, options, outbox, cancellationToken);
            }
            else
            {
                await db.ReturnAsync(unit, cancellationToken);
            }
        }
    }
}
