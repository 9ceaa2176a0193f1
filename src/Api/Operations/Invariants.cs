using Messaging.Postgres;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using Sagas.Persistence;

namespace Api.Operations;

/// <summary>Counts what must never happen. Each question is one statement, so that it sees one moment.</summary>
sealed class Invariants(PlatformDbContext db, NpgsqlDataSource database, ManifestFiles manifests, TimeProvider clock)
{
    const int MostNamed = 20;
    const int OutboxLagSeconds = 30;

    /// <summary>How far behind the reaper or a saga may be before it counts: several of their own waits.</summary>
    static readonly TimeSpan Slack = TimeSpan.FromMinutes(2);

    static readonly TimeSpan SecondLook = TimeSpan.FromSeconds(2);

    public async Task<InvariantReport> CheckAsync(CancellationToken cancellationToken)
    {
        var doubles = await DoubleCommitsAsync(cancellationToken);
        var orphans = await OrphanLeasesAsync(cancellationToken);
        var stuck = await StuckSagasAsync(cancellationToken);
        var outbox = await OutboxStatus.ReadAsync(database, cancellationToken);
        var rows = await UnaccountedRowsAsync(cancellationToken);
        var (surplus, missing) = await manifests.CompareAsync(cancellationToken);

        var offenders = new Dictionary<string, IReadOnlyList<string>>();
        Name("doubleCommits", doubles);
        Name("orphanLeases", orphans);
        Name("stuckSagas", stuck);
        Name("unaccountedRows", [.. rows.Select(r => r.Id)]);
        Name("manifestsWithoutCompletedJob", surplus);
        Name("completedJobsWithoutManifest", missing);
        var age = (long)outbox.OldestDueAge.TotalSeconds;
        return new InvariantReport(
            offenders.Count == 0 && age <= OutboxLagSeconds, doubles.Count, orphans.Count, stuck.Count, age, rows.Sum(r => r.Rows), surplus.Count, missing.Count, offenders);

        void Name(string figure, IReadOnlyList<string> ids)
        {
            if (ids.Count > 0)
                offenders[figure] = [.. ids.Take(MostNamed)];
        }
    }

    // An execution is new each time a worker starts: it can win one unit, once. Units below 0 prepare the input and are counted apart.
    Task<List<string>> DoubleCommitsAsync(CancellationToken cancellationToken) =>
        db.Database.SqlQuery<string>(
            $"""
            SELECT job_id || '/' || string_agg(unit::text, ',' ORDER BY unit) AS "Value"
            FROM sagas.work_units WHERE state = 3 AND execution IS NOT NULL GROUP BY job_id, execution HAVING count(*) > 1
            UNION ALL
            SELECT j.id::text FROM sagas.work_jobs j
            WHERE j.planned_at IS NOT NULL AND j.committed_units <> (SELECT count(*) FROM sagas.work_units u WHERE u.job_id = j.id AND u.unit >= 0 AND u.state = 3)
            """).ToListAsync(cancellationToken);

    Task<List<string>> OrphanLeasesAsync(CancellationToken cancellationToken) =>
        db.Database.SqlQuery<string>(
            $"""
            SELECT u.job_id || '/' || u.unit AS "Value"
            FROM sagas.work_units u JOIN sagas.work_jobs j ON j.id = u.job_id
            WHERE (u.state IN (1, 2) AND u.lease_until < clock_timestamp() - {Slack}
                    AND NOT (u.state = 1 AND EXISTS (SELECT 1 FROM messaging.outbox o WHERE o.message_id = u.dispatch_id)))
                OR (u.state IN (0, 1, 2) AND j.state IN ('Committed', 'Completed', 'Stopped', 'Failed'))
            """).ToListAsync(cancellationToken);

    // A timer that has just fired is gone from the outbox before its saga has taken it: only what stays so counts.
    async Task<List<string>> StuckSagasAsync(CancellationToken cancellationToken)
    {
        var idle = await WithoutTimerAsync(cancellationToken);
        if (idle.Count > 0)
        {
            await Task.Delay(SecondLook, clock, cancellationToken);
            idle = [.. idle.Intersect(await WithoutTimerAsync(cancellationToken))];
        }

        var deaf = await db.Database.SqlQuery<string>(
            $"""
            SELECT j.id::text AS "Value" FROM sagas.work_jobs j LEFT JOIN sagas.batch_jobs s ON s.correlation_id = j.id
            WHERE j.kind = 'batch-inference' AND coalesce(j.ended_at, s.ended_at, j.accepted_at) < clock_timestamp() - {Slack}
                AND (s.correlation_id IS NULL
                    OR (j.state IN ('Completed', 'Stopped', 'Failed')) <> (s.current_state IN ('Completed', 'CompletedWithErrors', 'Failed', 'Cancelled')))
                AND (s.correlation_id IS NULL OR j.ended_at IS NOT NULL OR s.ended_at IS NOT NULL)
            """).ToListAsync(cancellationToken);
        return [.. idle.Select(i => i.Id.ToString()).Union(deaf)];
    }

    Task<List<IdleSaga>> WithoutTimerAsync(CancellationToken cancellationToken) =>
        db.Database.SqlQuery<IdleSaga>(
            $"""
            SELECT s.correlation_id AS "Id", s.xmin::text AS "Version" FROM sagas.batch_jobs s
            WHERE s.current_state NOT IN ('Completed', 'CompletedWithErrors', 'Failed', 'Cancelled')
                AND NOT EXISTS (SELECT 1 FROM messaging.outbox o WHERE o.token_id IN (s.step_timeout_token, s.queue_timeout_token, s.deadline_token))
            """).ToListAsync(cancellationToken);

    Task<List<RowsOff>> UnaccountedRowsAsync(CancellationToken cancellationToken) =>
        db.Database.SqlQuery<RowsOff>(
            $"""
            SELECT "Id", "Rows" FROM (
                SELECT j.id::text AS "Id", abs(j.input_rows - j.scored - j.quarantined - j.skipped - u.open)
                    + abs(j.scored - u.scored) + abs(j.quarantined - u.quarantined) + abs(j.skipped - u.skipped) AS "Rows"
                FROM sagas.work_jobs j CROSS JOIN LATERAL (
                    SELECT coalesce(sum(rows) FILTER (WHERE state IN (0, 1, 2)), 0)::bigint AS open, coalesce(sum(scored) FILTER (WHERE state = 3), 0)::bigint AS scored,
                        coalesce(sum(quarantined) FILTER (WHERE state = 3), 0)::bigint AS quarantined, coalesce(sum(rows) FILTER (WHERE state = 5), 0)::bigint AS skipped
                    FROM sagas.work_units WHERE job_id = j.id AND unit >= 0) u) jobs
            WHERE "Rows" <> 0
            """).ToListAsync(cancellationToken);

    sealed record IdleSaga(Guid Id, string Version);

    sealed record RowsOff(string Id, long Rows);
}
