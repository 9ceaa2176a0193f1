using Contracts.WorkLedger;
using MassTransit;
using Messaging.Postgres;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Sagas.Persistence;
using Sagas.WorkLedger;

namespace Consumers.WorkLedger;

/// <summary>
/// Admits jobs and keeps the announced worker slots busy, on one node at a time. A unit's new state and the order for the
/// worker are one transaction.
/// </summary>
public sealed partial class Dispatcher(
    IServiceScopeFactory scopes, IEnumerable<WorkKind> kinds, LedgerSignal signal, IOptions<WorkLedgerOptions> options, TimeProvider clock,
    ILogger<Dispatcher> logger)
    : BackgroundService
{
    static readonly TimeSpan Turn = TimeSpan.FromMilliseconds(10);

    readonly Dictionary<string, WorkKind> _kinds = kinds.ToDictionary(k => k.Name);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var isPaused = false;
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                while (await DispatchAsync(stoppingToken) is var look and not DispatcherLook.Idle)
                {
                    // The other node may have looked before what woke this one was committed: its look does not stand for ours.
                    if (look == DispatcherLook.Busy)
                        await Task.Delay(Turn, clock, stoppingToken);
                }

                isPaused = false;
            }
            catch (Exception e) when (!stoppingToken.IsCancellationRequested)
            {
                // An outage is told once.
                if (!isPaused)
                    LogPaused(e, options.Value.Poll);
                isPaused = true;
            }

            // Not in step with other nodes, who would all ask a server that has just come back.
            await signal.WaitAsync(options.Value.Poll * (0.75 + Random.Shared.NextDouble() / 4), stoppingToken);
        }
    }

    /// <summary>One look at the ledger.</summary>
    public async Task<DispatcherLook> DispatchAsync(CancellationToken cancellationToken)
    {
        await using var scope = scopes.CreateAsyncScope();
        var db = scope.ServiceProvider.GetRequiredService<PlatformDbContext>();
        var publish = scope.ServiceProvider.GetRequiredService<IPublishEndpoint>();
        var send = scope.ServiceProvider.GetRequiredService<ISendEndpointProvider>();

        await using var transaction = await db.Database.BeginTransactionAsync(cancellationToken);
        if (!await db.TryLockLedgerAsync(LedgerLock.Dispatcher, cancellationToken))
            return DispatcherLook.Busy;

        var admitted = await AdmitAsync(db, cancellationToken);
        var units = await ClaimAsync(db, cancellationToken);
        if (admitted.Count + units.Count > 0)
        {
            var ids = units.Select(u => u.JobId).Concat(admitted).Distinct().ToArray();
            var jobs = await db.WorkJobs.AsNoTracking().Where(j => ids.Contains(j.Id)).ToDictionaryAsync(j => j.Id, cancellationToken);
            foreach (var job in admitted)
                await publish.PublishFact(jobs[job], new JobAdmitted(job), cancellationToken);
            foreach (var unit in units)
            {
                var job = jobs[unit.JobId];
                var (queue, message) = _kinds[job.Kind].Dispatch(job, unit);
                var endpoint = await send.GetSendEndpoint(queue);
                await endpoint.Send(message, message.GetType(), c =>
                {
                    c.MessageId = unit.DispatchId;
                    c.SetGroupKey(job.Id);
                    c.Follow(job);
                }, cancellationToken);
            }
        }

        if (admitted.Count + units.Count == 0)
            return DispatcherLook.Idle;

        await db.SaveChangesAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        if (logger.IsEnabled(LogLevel.Debug))
            LogDispatched(units.Count, admitted.Count);
        return DispatcherLook.Done;
    }

    Task<List<Guid>> AdmitAsync(PlatformDbContext db, CancellationToken cancellationToken) =>
        db.Database.SqlQuery<Guid>(
            $"""
            WITH places AS (
                SELECT tenant, count(*) AS taken FROM sagas.work_jobs WHERE state IN ('Admitted', 'Running', 'Committed') GROUP BY tenant),
            waiting AS (
                SELECT id, tenant, row_number() OVER (PARTITION BY tenant ORDER BY priority DESC, accepted_at, id) AS turn
                FROM sagas.work_jobs WHERE state = 'Queued')
            UPDATE sagas.work_jobs j SET state = 'Admitted', admitted_at = clock_timestamp()
            FROM waiting w LEFT JOIN places p USING (tenant)
            WHERE j.id = w.id AND j.state = 'Queued' AND w.turn <= {options.Value.JobsPerTenant} - coalesce(p.taken, 0)
            RETURNING j.id AS "Value"
            """).ToListAsync(cancellationToken);

    // Priority first; then a tenant's turn, which counts what it has in flight; then a job's turn within its tenant.
    // A job whose row is locked is left for the next look: who holds the lock wakes the dispatcher when it commits.
    Task<List<WorkUnit>> ClaimAsync(PlatformDbContext db, CancellationToken cancellationToken) =>
        db.WorkUnits.FromSql(
            $"""
            WITH free AS (
                SELECT greatest(2, {options.Value.WindowPerSlot} * coalesce(sum(slots), 0))
                    - (SELECT count(*) FROM sagas.work_units WHERE state IN (1, 2)) AS places
                FROM sagas.work_workers WHERE seen_at > clock_timestamp() - {options.Value.WorkerLease}),
            flying AS (
                SELECT j.tenant, u.job_id, count(*) AS units
                FROM sagas.work_units u JOIN sagas.work_jobs j ON j.id = u.job_id
                WHERE u.state IN (1, 2) GROUP BY j.tenant, u.job_id),
            jobs AS MATERIALIZED (
                SELECT id, tenant, priority, admitted_at FROM sagas.work_jobs j
                WHERE state = 'Running' AND (SELECT places FROM free) > 0
                    AND EXISTS (SELECT 1 FROM sagas.work_units u WHERE u.job_id = j.id AND u.state = 0)
                FOR UPDATE SKIP LOCKED),
            waiting AS (
                SELECT j.*, u.unit,
                    row_number() OVER (PARTITION BY j.id ORDER BY u.unit) + coalesce((SELECT f.units FROM flying f WHERE f.job_id = j.id), 0) AS job_turn
                FROM jobs j CROSS JOIN LATERAL (
                    SELECT unit FROM sagas.work_units u WHERE u.job_id = j.id AND u.state = 0
                    ORDER BY unit LIMIT greatest((SELECT places FROM free), 0)) u),
            turns AS (
                SELECT w.*, row_number() OVER (PARTITION BY priority, tenant ORDER BY job_turn, admitted_at, id)
                    + coalesce((SELECT sum(f.units) FROM flying f WHERE f.tenant = w.tenant), 0) AS tenant_turn
                FROM waiting w),
            chosen AS (
                SELECT id, unit FROM turns
                ORDER BY priority DESC, tenant_turn, admitted_at, id LIMIT greatest((SELECT places FROM free), 0))
            UPDATE sagas.work_units u
            SET state = 1, attempt = attempt + 1, dispatch_id = gen_random_uuid(), lease_until = clock_timestamp() + {options.Value.DispatchLease},
                execution = NULL, worker = NULL, rows_done = 0
            FROM chosen c WHERE u.job_id = c.id AND u.unit = c.unit AND u.state = 0
            RETURNING u.*
            """).AsNoTracking().ToListAsync(cancellationToken);
}

public enum DispatcherLook
{
    /// <summary>There was nothing to do.</summary>
    Idle,

    /// <summary>Something was done, so that another look may find more.</summary>
    Done,

    /// <summary>Another node was looking.</summary>
    Busy,
}
