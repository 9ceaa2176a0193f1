using Contracts;
using Contracts.BatchInference;
using MassTransit;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Sagas.BatchInference;
using Sagas.Persistence;

namespace Consumers.BatchInference;

/// <summary>
/// Asks again for jobs that nothing would wake any more: the order to start them, or the timer that would have asked, was lost
/// after it had left the outbox. Several nodes asking at once is harmless.
/// </summary>
public sealed partial class LostJobs(
    IServiceScopeFactory scopes, IOptions<BatchSagaOptions> options, TimeProvider clock, ILogger<LostJobs> logger) : BackgroundService
{
    HashSet<SilentJob> _silent = [];

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.Value.StepTimeout, clock);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                await AskAgainAsync(stoppingToken);
            }
            catch (Exception e) when (!stoppingToken.IsCancellationRequested)
            {
                LogPaused(e, options.Value.StepTimeout);
            }
        }
    }

    async Task AskAgainAsync(CancellationToken cancellationToken)
    {
        await using var scope = scopes.CreateAsyncScope();
        var db = scope.ServiceProvider.GetRequiredService<PlatformDbContext>();
        var outbox = scope.ServiceProvider.GetRequiredService<IPublishEndpoint>();

        // What has just left the outbox may still arrive: only who is as silent as a whole wait ago is lost.
        var silent = (await SilentAsync(db, cancellationToken)).ToHashSet();
        var lost = silent.Intersect(_silent).ToList();
        _silent = silent;
        foreach (var job in lost)
        {
            if (job.Version is not null)
                await outbox.Publish(new ResumeBatchJob(job.Id), cancellationToken);
            else if (await db.WorkJobs.AsNoTracking().SingleOrDefaultAsync(j => j.Id == job.Id, cancellationToken) is { } unheard)
                await outbox.Publish(new SubmitBatchJob(unheard.Id, unheard.Tenant, WireJson.Read<BatchJobSpec>(unheard.Spec)), cancellationToken);
            LogAskedAgain(job.Id);
        }

        await db.SaveChangesAsync(cancellationToken);
    }

    static Task<List<SilentJob>> SilentAsync(PlatformDbContext db, CancellationToken cancellationToken) =>
        db.Database.SqlQuery<SilentJob>(
            $"""
            SELECT s.correlation_id AS "Id", s.xmin::text AS "Version" FROM sagas.batch_jobs s
            WHERE s.current_state NOT IN ('Completed', 'CompletedWithErrors', 'Failed', 'Cancelled')
                AND NOT EXISTS (SELECT 1 FROM messaging.outbox o WHERE o.token_id = s.step_timeout_token)
            UNION ALL
            SELECT j.id, NULL FROM sagas.work_jobs j
            WHERE j.kind = {BatchWork.Kind} AND j.state <> 'Completed' AND NOT EXISTS (SELECT 1 FROM sagas.batch_jobs s WHERE s.correlation_id = j.id)
            """).ToListAsync(cancellationToken);

    /// <param name="Version">Of its saga's row; null when there is no saga.</param>
    sealed record SilentJob(Guid Id, string? Version);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Job {Job} waited for nothing: asked again")]
    partial void LogAskedAgain(Guid job);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Looking for lost jobs pauses for {Wait}: the database did not answer")]
    partial void LogPaused(Exception exception, TimeSpan wait);
}
