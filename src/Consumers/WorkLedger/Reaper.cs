using MassTransit;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Sagas.Persistence;
using Sagas.WorkLedger;

namespace Consumers.WorkLedger;

/// <summary>
/// Takes units back whose lease ran out, by PostgreSQL's clock, on one node at a time. Expires nothing for a while after its own
/// start or a lost connection, to the database or the broker: then it is the heartbeats that are late, not the workers.
/// </summary>
public sealed partial class Reaper(
    IServiceScopeFactory scopes, IBusControl bus, IEnumerable<WorkKind> kinds, LedgerSignal signal, IOptions<WorkLedgerOptions> options, TimeProvider clock,
    ILogger<Reaper> logger) : BackgroundService
{
    long _trustFrom;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        Distrust();
        using var timer = new PeriodicTimer(options.Value.Poll, clock);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                if (bus.CheckHealth().Status != BusHealthStatus.Healthy)
                    Distrust();
                if (clock.GetTimestamp() >= _trustFrom && await ReapAsync(stoppingToken) > 0)
                    signal.Set();
            }
            catch (Exception e) when (!stoppingToken.IsCancellationRequested)
            {
                LogPaused(e, options.Value.ReaperGrace);
                Distrust();
            }
        }
    }

    void Distrust() => _trustFrom = clock.GetTimestamp() + (long)(options.Value.ReaperGrace.TotalSeconds * clock.TimestampFrequency);

    /// <returns>Units taken back.</returns>
    public async Task<int> ReapAsync(CancellationToken cancellationToken)
    {
        await using var scope = scopes.CreateAsyncScope();
        var db = scope.ServiceProvider.GetRequiredService<PlatformDbContext>();
        var outbox = scope.ServiceProvider.GetRequiredService<IPublishEndpoint>();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellationToken);
        if (!await db.TryLockLedgerAsync(LedgerLock.Reaper, cancellationToken))
            return 0;

        // While the order to the worker is unsent, the wait is the broker's fault, not the worker's.
        await db.Database.ExecuteSqlAsync(
            $"""
            UPDATE sagas.work_units u SET lease_until = clock_timestamp() + {options.Value.DispatchLease}
            WHERE u.state = 1 AND u.lease_until < clock_timestamp()
                AND EXISTS (SELECT 1 FROM messaging.outbox o WHERE o.group_key = u.job_id::text AND o.message_id = u.dispatch_id)
            """, cancellationToken);

        var jobIds = await db.WorkUnits
            .FromSql($"SELECT * FROM sagas.work_units WHERE state IN (1, 2) AND lease_until < clock_timestamp()")
            .Select(u => u.JobId).Distinct().ToArrayAsync(cancellationToken);
        var count = 0;
        foreach (var job in await db.LockJobsAsync(jobIds, cancellationToken))
        {
            // Read again under the lock: a heartbeat or a result may have come meanwhile.
            var expired = await db.WorkUnits
                .FromSql($"SELECT * FROM sagas.work_units WHERE job_id = {job.Id} AND state IN (1, 2) AND lease_until < clock_timestamp() ORDER BY unit FOR UPDATE")
                .AsNoTracking().ToListAsync(cancellationToken);
            foreach (var unit in expired)
                LogTakenBack(unit.Unit, job.Id, unit.State, unit.Worker);
            await db.TakeBackAsync(job, expired, kinds.Of(job), options.Value, outbox, cancellationToken);
            count += expired.Count;
        }

        // A worker has a new name each time it starts: the old ones would stay for ever.
        await db.Database.ExecuteSqlAsync($"DELETE FROM sagas.work_workers WHERE seen_at < clock_timestamp() - interval '1 day'", cancellationToken);
        await db.SaveChangesAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return count;
    }
}
