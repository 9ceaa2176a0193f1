using Consumers.WorkLedger;
using Contracts;
using Contracts.BatchInference;
using MassTransit;
using Messaging.Postgres;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using Sagas.BatchInference;
using Sagas.Persistence;
using Sagas.WorkLedger;

namespace Consumers.BatchInference;

/// <summary>
/// For the in-memory bus, whose messages die with the process: runs before the bus starts, so that what was going on goes on.
/// Whoever hosts it must be alone on its data.
/// </summary>
public sealed partial class BatchRecovery(IServiceScopeFactory scopes, NpgsqlDataSource database, ILogger<BatchRecovery> logger) : IHostedService
{
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await using var scope = scopes.CreateAsyncScope();
        var db = scope.ServiceProvider.GetRequiredService<PlatformDbContext>();
        var outbox = scope.ServiceProvider.GetRequiredService<IPublishEndpoint>();

        var units = await ActivatorUtilities.CreateInstance<LedgerRecovery>(scope.ServiceProvider).ReturnUnitsAsync(cancellationToken);
        await OutboxRecovery.FreeLeasesAsync(database, cancellationToken);

        var unheard = await db.WorkJobs.AsNoTracking()
            .Where(j => j.Kind == BatchWork.Kind && j.State != WorkJobState.Completed && !db.BatchJobs.Any(s => s.CorrelationId == j.Id))
            .ToListAsync(cancellationToken);
        foreach (var job in unheard)
            await outbox.Publish(new SubmitBatchJob(job.Id, job.Tenant, WireJson.Read<BatchJobSpec>(job.Spec)), cancellationToken);

        var waiting = await db.BatchJobs.Where(s => !BatchJobStateMachine.FinalStates.Contains(s.CurrentState))
            .Select(s => s.CorrelationId).ToListAsync(cancellationToken);
        foreach (var job in waiting)
            await outbox.Publish(new ResumeBatchJob(job), cancellationToken);

        // A clean-up order may have died with the bus; doing it twice is harmless.
        var ended = await db.Database.SqlQuery<Guid>(
            $"""
            SELECT correlation_id AS "Value" FROM sagas.batch_jobs
            WHERE current_state IN ('Completed', 'CompletedWithErrors', 'Failed', 'Cancelled') AND ended_at > clock_timestamp() - interval '1 day'
            ORDER BY ended_at DESC LIMIT 1000
            """).ToListAsync(cancellationToken);
        foreach (var job in ended)
            await outbox.Publish(new CleanUpWork(job), cancellationToken);

        await db.SaveChangesAsync(cancellationToken);
        if (units + unheard.Count + waiting.Count > 0)
            LogResumed(waiting.Count + unheard.Count, units);
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    [LoggerMessage(Level = LogLevel.Information, Message = "Resumed {Jobs} jobs; {Units} units that were in flight are free again")]
    partial void LogResumed(int jobs, int units);
}
