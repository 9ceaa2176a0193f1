using Contracts;
using Contracts.WorkLedger;
using MassTransit;
using Microsoft.EntityFrameworkCore;
using Sagas.Persistence;
using Sagas.WorkLedger;

namespace Consumers.WorkLedger;

/// <summary>Each answers by the job's state, so that asking twice, or after the answer was lost, tells the same.</summary>
public sealed class AdmitJobConsumer(PlatformDbContext db) : IConsumer<AdmitJob>
{
    public async Task Consume(ConsumeContext<AdmitJob> context)
    {
        if (await db.LockJobsAsync([context.Message.JobId], context.CancellationToken) is not [var job])
            return;
        if (job.State == WorkJobState.Accepted)
            await db.WorkJobs.Where(j => j.Id == job.Id).ExecuteUpdateAsync(s => s.SetProperty(j => j.State, WorkJobState.Queued), context.CancellationToken);
        else if (job.State is WorkJobState.Stopped)
            await context.Publish(new WorkStopped(job.Id, job.Reason()));
        else if (job.State is WorkJobState.Admitted or WorkJobState.Running or WorkJobState.Committed)
            await context.Publish(new JobAdmitted(job.Id));
    }
}

public sealed class StopWorkConsumer(PlatformDbContext db, IEnumerable<WorkKind> kinds) : IConsumer<StopWork>
{
    public async Task Consume(ConsumeContext<StopWork> context)
    {
        var ask = context.Message;
        if (await db.EndWorkAsync(ask.JobId, WorkJobState.Stopped, new Failure("stopped", ask.Reason), context.CancellationToken) is not { } end)
        {
            // Cancelled before it was accepted here: there is nothing to stop.
            await context.Publish(new WorkStopped(ask.JobId, ask.Reason));
            return;
        }

        await context.Publish(new StopJob(ask.JobId, end.Epoch));
        await context.AnswerByState(db, kinds, ask.JobId);
    }
}

public sealed class CheckWorkConsumer(PlatformDbContext db, IEnumerable<WorkKind> kinds) : IConsumer<CheckWork>
{
    public Task Consume(ConsumeContext<CheckWork> context) => context.AnswerByState(db, kinds, context.Message.JobId);
}

public sealed class WorkerAliveConsumer(PlatformDbContext db, LedgerSignal signal) : IConsumer<WorkerAlive>
{
    public async Task Consume(ConsumeContext<WorkerAlive> context)
    {
        var worker = context.Message;
        string[] models = [.. worker.Models];
        await db.Database.ExecuteSqlAsync(
            $"""
            INSERT INTO sagas.work_workers (worker, slots, models, seen_at) VALUES ({worker.Worker}, {worker.Slots}, {models}, clock_timestamp())
            ON CONFLICT (worker) DO UPDATE SET slots = excluded.slots, models = excluded.models, seen_at = excluded.seen_at
            """, context.CancellationToken);
        signal.Set();
    }
}

public sealed class UnitHeartbeatConsumer(UnitLeases leases) : IConsumer<Batch<UnitHeartbeat>>
{
    public Task Consume(ConsumeContext<Batch<UnitHeartbeat>> context) =>
        leases.ExtendAsync([.. context.Message.Select(m => m.Message)], context.CancellationToken);
}

static class LedgerAnswers
{
    public static string Reason(this WorkJob job) =>
        job.Failure is null ? "stopped" : WireJson.Read<Failure>(job.Failure).Message;

    public static async Task AnswerByState(this ConsumeContext context, PlatformDbContext db, IEnumerable<WorkKind> kinds, Guid jobId)
    {
        var job = await db.WorkJobs.AsNoTracking().SingleOrDefaultAsync(j => j.Id == jobId, context.CancellationToken);
        object? answer = job?.State switch
        {
            WorkJobState.Committed or WorkJobState.Completed => kinds.Of(job).Committed(job),
            WorkJobState.Failed => kinds.Of(job).Failed(job, WireJson.Read<Failure>(job.Failure!)),
            WorkJobState.Stopped => new WorkStopped(job.Id, job.Reason()),
            _ => null,
        };
        if (answer is not null)
            await context.PublishFact(job!, answer, context.CancellationToken);
    }
}
