using System.Diagnostics;
using Contracts;
using Messaging.Postgres;
using Microsoft.EntityFrameworkCore;
using Sagas.Persistence;

namespace Sagas.WorkLedger;

/// <summary>What may happen to a job as a whole. Each runs in the caller's transaction, under the job row's lock.</summary>
public static class WorkLedgerJobs
{
    static readonly string[] Over = [WorkJobState.Committed, WorkJobState.Completed, WorkJobState.Failed, WorkJobState.Stopped];

    /// <summary>Opens a job's account. It is saved with the message that starts its saga, or not at all.</summary>
    public static WorkJob Open(
        this DbSet<WorkJob> jobs, Guid id, string tenant, string kind, string spec, int priority, double maxErrorRate, long? maxErrors, DateTimeOffset now)
    {
        var job = new WorkJob
        {
            Id = id,
            Tenant = tenant,
            Kind = kind,
            State = WorkJobState.Accepted,
            Priority = priority,
            MaxErrorRate = maxErrorRate,
            MaxErrors = maxErrors,
            Spec = spec,
            Trace = Activity.Current?.Id,
            AcceptedAt = now,
        };
        jobs.Add(job);
        return job;
    }

    /// <summary>
    /// Ends a job's work before all units are committed: raises the epoch, counts what is open as skipped, takes back orders not yet sent.
    /// </summary>
    /// <param name="state">Stopped when somebody asked for it, Failed when the work itself cannot go on.</param>
    /// <returns>The state found under the lock and the epoch now valid; null when there is no such job. States past Running are left alone.</returns>
    public static async Task<(string Found, int Epoch)?> EndWorkAsync(
        this PlatformDbContext db, Guid jobId, string state, Failure reason, CancellationToken cancellationToken)
    {
        var found = await db.Database.SqlQuery<JobLock>(
            $"""SELECT state AS "State", epoch AS "Epoch" FROM sagas.work_jobs WHERE id = {jobId} FOR UPDATE""")
            .ToListAsync(cancellationToken);
        if (found is not [var job])
            return null;
        if (Over.Contains(job.State))
            return (job.State, job.Epoch);

        var why = WireJson.Write(reason);
        await db.Database.ExecuteSqlAsync(
            $"""
            WITH skipped AS (
                UPDATE sagas.work_units SET state = {(short)WorkUnitState.Skipped}, lease_until = NULL
                WHERE job_id = {jobId} AND state IN (0, 1, 2)
                RETURNING rows)
            UPDATE sagas.work_jobs
            SET state = {state}, epoch = epoch + 1, failure = {why}::jsonb, ended_at = clock_timestamp(),
                skipped = skipped + (SELECT coalesce(sum(rows), 0) FROM skipped)
            WHERE id = {jobId}
            """, cancellationToken);
        await db.DeleteUnsentMessagesAsync(jobId, cancellationToken);
        return (job.State, job.Epoch + 1);
    }

    sealed record JobLock(string State, int Epoch);
}
