using System.Text.Json;
using Contracts;
using Contracts.WorkLedger;
using MassTransit;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;
using Sagas.Persistence;
using Sagas.WorkLedger;

namespace Consumers.WorkLedger;

/// <summary>What one execution of a unit brought. <paramref name="Result"/> is the pipeline's, as JSON.</summary>
public sealed record UnitResult(
    Guid JobId, int Epoch, int Unit, Guid Execution, string Worker, long Scored, long Quarantined, string Result, TimeSpan Elapsed);

/// <summary>
/// The first result of a unit wins, whatever its attempt, if its epoch is the job's. Runs in the consumer's transaction:
/// job rows are locked in id order, then units change, then the counts of the units actually changed are added.
/// </summary>
public sealed partial class UnitCommit(PlatformDbContext db, IEnumerable<WorkKind> kinds, ILogger<UnitCommit> logger)
{
    public async Task CommitAsync(IReadOnlyList<UnitResult> results, IPublishEndpoint outbox, CancellationToken cancellationToken)
    {
        var jobIds = results.Select(r => r.JobId).Distinct().ToArray();
        var jobs = await db.LockJobsAsync(jobIds, cancellationToken);
        var committed = await CommitUnitsAsync(results, cancellationToken);
        foreach (var job in jobs)
        {
            var mine = committed.Where(u => u.JobId == job.Id).ToList();
            var stale = results.Count(r => r.JobId == job.Id) - mine.Count;
            if (stale > 0)
                LogStale(stale, job.Id);
            await AddAsync(job, mine, stale, outbox, cancellationToken);
        }
    }

    // Units below 0 prepare input: the rows they carry are counted when they are planned as shards.
    Task<List<CommittedUnit>> CommitUnitsAsync(IReadOnlyList<UnitResult> results, CancellationToken cancellationToken)
    {
        Guid[] jobs = [.. results.Select(r => r.JobId)], executions = [.. results.Select(r => r.Execution)];
        int[] epochs = [.. results.Select(r => r.Epoch)], units = [.. results.Select(r => r.Unit)], elapsed = [.. results.Select(r => (int)r.Elapsed.TotalMilliseconds)];
        string[] workers = [.. results.Select(r => r.Worker)], json = [.. results.Select(r => r.Result)];
        long[] scored = [.. results.Select(r => r.Scored)], quarantined = [.. results.Select(r => r.Quarantined)];
        return db.Database.SqlQuery<CommittedUnit>(
            $"""
            UPDATE sagas.work_units u
            SET state = 3, scored = r.scored, quarantined = r.quarantined, result = r.result::jsonb, execution = r.execution, worker = r.worker,
                rows_done = u.rows, lease_until = NULL, committed_at = clock_timestamp(), elapsed_ms = r.elapsed,
                started_at = coalesce(u.started_at, clock_timestamp() - r.elapsed * interval '1 millisecond')
            FROM (
                SELECT DISTINCT ON (job, unit) *
                FROM unnest({jobs}, {epochs}, {units}, {executions}, {workers}, {scored}, {quarantined}, {json}, {elapsed})
                    WITH ORDINALITY AS t (job, epoch, unit, execution, worker, scored, quarantined, result, elapsed, nr)
                ORDER BY job, unit, nr) r
            JOIN sagas.work_jobs j ON j.id = r.job AND j.epoch = r.epoch AND j.state = 'Running'
            WHERE u.job_id = r.job AND u.unit = r.unit AND u.state IN (0, 1, 2) AND (u.unit < 0 OR u.rows = r.scored + r.quarantined)
            RETURNING u.job_id AS "JobId", u.unit AS "Unit", CASE WHEN u.unit < 0 THEN 0 ELSE u.scored END AS "Scored",
                CASE WHEN u.unit < 0 THEN 0 ELSE u.quarantined END AS "Quarantined"
            """).ToListAsync(cancellationToken);
    }

    async Task AddAsync(WorkJob job, List<CommittedUnit> committed, int stale, IPublishEndpoint outbox, CancellationToken cancellationToken)
    {
        job.CommittedUnits += committed.Count;
        job.Scored += committed.Sum(u => u.Scored);
        job.Quarantined += committed.Sum(u => u.Quarantined);
        job.StaleResults += stale;

        var kind = kinds.Of(job);
        var tooMany = job.State == WorkJobState.Running && committed.Count > 0 ? ErrorThreshold.Exceeded(job) : null;
        var all = tooMany is null && committed.Count > 0 && job.CommittedUnits == job.TotalUnits;
        // Preparing the input is not the end: planning goes on, and cancel still wins.
        if (all)
            job.State = committed[0].Unit < 0 ? WorkJobState.Admitted : WorkJobState.Committed;

        await db.Database.ExecuteSqlAsync(
            $"""
            UPDATE sagas.work_jobs SET state = {job.State}, committed_units = {job.CommittedUnits}, scored = {job.Scored},
                quarantined = {job.Quarantined}, stale_results = {job.StaleResults} WHERE id = {job.Id}
            """, cancellationToken);

        if (all)
            await outbox.PublishFact(job, committed[0].Unit < 0 ? kind.Prepared!(job) : kind.Committed(job), cancellationToken);
        if (tooMany is not null)
            await db.FailJobAsync(job, tooMany, kind, outbox, cancellationToken);
    }

    sealed record CommittedUnit(Guid JobId, int Unit, long Scored, long Quarantined);
}
