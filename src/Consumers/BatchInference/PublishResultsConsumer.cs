using Consumers.WorkLedger;
using Contracts;
using Contracts.BatchInference;
using MassTransit;
using Messaging.Postgres;
using Microsoft.EntityFrameworkCore;
using Sagas.BatchInference;
using Sagas.Persistence;
using Sagas.WorkLedger;

namespace Consumers.BatchInference;

/// <summary>Files first, with no transaction open; then the job's end and the answer in one.</summary>
public sealed class PublishResultsConsumer(PlatformDbContext db, ResultPublisher publisher, ConsumeTransaction<PlatformDbContext> transaction)
    : IConsumer<PublishResults>
{
    public async Task Consume(ConsumeContext<PublishResults> context)
    {
        var job = await db.WorkJobs.AsNoTracking().SingleOrDefaultAsync(j => j.Id == context.Message.JobId, context.CancellationToken);
        if (job is not { State: WorkJobState.Committed or WorkJobState.Completed })
            return;
        var units = await db.WorkUnits.AsNoTracking()
            .Where(u => u.JobId == job.Id && u.Unit >= 0 && u.State == WorkUnitState.Committed).OrderBy(u => u.Unit)
            .ToListAsync(context.CancellationToken);
        var spec = WireJson.Read<BatchJobSpec>(job.Spec);
        try
        {
            var (uri, sha256) = await publisher.PublishAsync(job, spec, units, context.CancellationToken);
            await transaction.RunAsync(context, async (db, outbox, token) =>
            {
                await db.CompleteAsync(job, spec, units, token);
                await outbox.Publish(new ResultsPublished(job.Id, uri, sha256, job.Scored, job.Quarantined), token);
            });
        }
        catch (FailureException e) when (!e.IsTransient)
        {
            await transaction.RunAsync(context, async (db, outbox, token) =>
            {
                await db.FailCommittedAsync(job.Id, e.Failure, token);
                await outbox.Publish(new PublicationFailed(job.Id, e.Failure), token);
            });
        }
    }
}

static class PublishedJobs
{
    /// <summary>Fewer rows say more about starting up than about the model.</summary>
    const long RowsToMeasure = 10_000;

    public static async Task CompleteAsync(
        this PlatformDbContext db, WorkJob job, BatchJobSpec spec, IReadOnlyList<WorkUnit> units, CancellationToken cancellationToken)
    {
        var bytes = units.Select(u => WireJson.Read<ShardResult>(u.Result!)).Sum(r => (r.Part?.Bytes ?? 0) + (r.Quarantine?.Bytes ?? 0));
        var completed = await db.Database.ExecuteSqlAsync(
            $"""
            UPDATE sagas.work_jobs SET state = {WorkJobState.Completed}, result_bytes = {bytes}, ended_at = clock_timestamp()
            WHERE id = {job.Id} AND state = {WorkJobState.Committed}
            """, cancellationToken);
        var seconds = units.Sum(u => u.ElapsedMs) / 1000.0;
        if (completed == 0 || job.Scored < RowsToMeasure || seconds <= 0)
            return;
        var rowsPerSecond = job.Scored / seconds;
        await db.Database.ExecuteSqlAsync(
            $"""
            UPDATE sagas.models SET rows_per_second = 0.5 * rows_per_second + 0.5 * {rowsPerSecond}
            WHERE tenant = {job.Tenant} AND name = {spec.Model.Name} AND version = {spec.Model.Sha256}
            """, cancellationToken);
    }

    public static Task FailCommittedAsync(this PlatformDbContext db, Guid jobId, Failure failure, CancellationToken cancellationToken)
    {
        var why = WireJson.Write(failure);
        return db.Database.ExecuteSqlAsync(
            $"""
            UPDATE sagas.work_jobs SET state = {WorkJobState.Failed}, failure = {why}::jsonb, epoch = epoch + 1, ended_at = clock_timestamp()
            WHERE id = {jobId} AND state = {WorkJobState.Committed}
            """, cancellationToken);
    }
}
