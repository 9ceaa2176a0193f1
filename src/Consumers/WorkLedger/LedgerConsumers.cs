using Contracts;
using Contracts.WorkLedger;
using MassTransit;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;
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

public sealed class UnitHeartbeatConsumer(PlatformDbContext db, IOptions<WorkLedgerOptions> options) : IConsumer<Batch<UnitHeartbeat>>
{
    // Units locked by a commit are skipped: they need no lease any more, and nobody waits for nobody.
    public Task Consume(ConsumeContext<Batch<UnitHeartbeat>> context)
    {
        var beats = context.Message.Select(m => m.Message).ToList();
        Guid[] jobs = [.. beats.Select(b => b.JobId)], executions = [.. beats.Select(b => b.Execution)];
        int[] units = [.. beats.Select(b => b.Unit)], attempts = [.. beats.Select(b => b.Attempt)];
        string[] workers = [.. beats.Select(b => b.Worker)];
        long[] rows = [.. beats.Select(b => b.RowsDone)];
        return db.Database.ExecuteSqlAsync(
            $"""
            WITH beats AS (
                SELECT DISTINCT ON (job, unit) * FROM unnest({jobs}, {units}, {attempts}, {executions}, {workers}, {rows})
                    AS b (job, unit, attempt, execution, worker, rows) ORDER BY job, unit, rows DESC),
            alive AS (
                SELECT b.* FROM sagas.work_units u JOIN beats b ON u.job_id = b.job AND u.unit = b.unit AND u.attempt = b.attempt
                WHERE u.state IN (1, 2) ORDER BY u.job_id, u.unit FOR UPDATE OF u SKIP LOCKED)
            UPDATE sagas.work_units u SET state = 2, execution = a.execution, worker = a.worker, rows_done = least(u.rows, a.rows),
                lease_until = clock_timestamp() + {options.Value.RunLease}, started_at = coalesce(u.started_at, clock_timestamp())
            FROM alive a WHERE u.job_id = a.job AND u.unit = a.unit
            """, context.CancellationToken);
    }
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
            await context.PublishFact(answer, context.CancellationToken);
    }
}
