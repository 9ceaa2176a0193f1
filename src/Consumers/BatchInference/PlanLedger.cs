using Consumers.WorkLedger;
using Contracts;
using Contracts.BatchInference;
using MassTransit;
using Microsoft.EntityFrameworkCore;
using Sagas.BatchInference;
using Sagas.Persistence;
using Sagas.WorkLedger;

namespace Consumers.BatchInference;

/// <summary>Puts a plan into the ledger, once, under the job's lock. Each answer can be had again by asking again.</summary>
public sealed class PlanLedger(PlatformDbContext db)
{
    /// <param name="planned">Files the plan follows on: if others were added meanwhile, this plan is a twin and is dropped.</param>
    public async Task AddAsync(Guid jobId, int planned, PlannedUnits plan, IPublishEndpoint outbox, CancellationToken cancellationToken)
    {
        if (await db.LockJobsAsync([jobId], cancellationToken) is not [{ State: WorkJobState.Admitted } job] || job.PlannedFiles != planned)
            return;

        var conversion = plan.Units.Count > 0 && plan.Units[0].Unit.Columns is not null;
        var total = job.TotalUnits + plan.Units.Count;
        var rows = job.InputRows + plan.Units.Sum(u => u.Rows);
        if (!plan.More && !conversion && rows == 0)
        {
            await FailAsync(jobId, Empty, outbox, cancellationToken);
            return;
        }

        await InsertAsync(jobId, conversion ? -total : job.TotalUnits, plan.Units, cancellationToken);
        var state = plan.More ? WorkJobState.Admitted : WorkJobState.Running;
        var inputs = WireJson.Write(plan.Inputs);
        await db.Database.ExecuteSqlAsync(
            $"""
            UPDATE sagas.work_jobs SET state = {state}, total_units = {total}, input_rows = {rows}, planned_files = planned_files + {plan.Files},
                inputs = inputs || {inputs}::jsonb, planned_at = CASE WHEN {plan.More || conversion} THEN planned_at ELSE clock_timestamp() END
            WHERE id = {jobId}
            """, cancellationToken);
        await outbox.PublishFact(
            job, plan.More ? new PlanBatchJob(jobId, 0, planned + plan.Files) : conversion ? new BatchConversionPlanned(jobId, total) : new BatchPlanned(jobId, total, rows),
            cancellationToken);
    }

    /// <summary>Cuts what text files were converted to. Their rows are known only now.</summary>
    public async Task AddConvertedAsync(Guid jobId, BatchJobSpec spec, int slots, IPublishEndpoint outbox, CancellationToken cancellationToken)
    {
        if (await db.LockJobsAsync([jobId], cancellationToken) is not [var job] || !IsConverted(job))
            return;

        var converted = await db.WorkUnits.AsNoTracking().Where(u => u.JobId == jobId && u.Unit < 0)
            .OrderBy(u => u.Unit).Select(u => new { u.Spec, u.Result }).ToListAsync(cancellationToken);
        var units = InputPlanner.PlanConverted(
            spec, [.. converted.Select(c => (WireJson.Read<BatchUnit>(c.Spec), WireJson.Read<ConversionResult>(c.Result!)))], slots);
        if (units.Count == 0)
        {
            await FailAsync(jobId, Empty, outbox, cancellationToken);
            return;
        }

        var rows = units.Sum(u => u.Rows);
        await InsertAsync(jobId, 0, units, cancellationToken);
        await db.Database.ExecuteSqlAsync(
            $"""
            UPDATE sagas.work_jobs SET state = {WorkJobState.Running}, total_units = {units.Count}, committed_units = 0, input_rows = {rows},
                planned_at = clock_timestamp() WHERE id = {jobId}
            """, cancellationToken);
        await outbox.Publish(new BatchPlanned(jobId, units.Count, rows), cancellationToken);
    }

    public async Task FailAsync(Guid jobId, Failure failure, IPublishEndpoint outbox, CancellationToken cancellationToken)
    {
        await db.EndWorkAsync(jobId, WorkJobState.Failed, failure, cancellationToken);
        await outbox.Publish(new BatchPlanFailed(jobId, failure), cancellationToken);
    }

    /// <summary>The plan is made already; its answer may be lost.</summary>
    public static Task AnswerAgainAsync(WorkJob job, IPublishEndpoint outbox, CancellationToken cancellationToken) =>
        job.State switch
        {
            WorkJobState.Admitted => outbox.Publish(new AllFilesConverted(job.Id), cancellationToken),
            WorkJobState.Running or WorkJobState.Committed or WorkJobState.Completed when job.PlannedAt is not null =>
                outbox.Publish(new BatchPlanned(job.Id, job.TotalUnits, job.InputRows), cancellationToken),
            _ => Task.CompletedTask,
        };

    /// <summary>Every conversion is committed and no shard is cut yet: an admitted job with units is between the two.</summary>
    public static bool IsConverted(WorkJob job) =>
        job.State == WorkJobState.Admitted && job.TotalUnits > 0 && job.CommittedUnits == job.TotalUnits;

    static readonly Failure Empty = new("input_empty", "The input has no rows. Check that it is the right file.", [new("input.uri", "input_empty", "There are no rows in it.")]);

    Task<int> InsertAsync(Guid jobId, int first, IReadOnlyList<(BatchUnit Unit, long Rows)> units, CancellationToken cancellationToken)
    {
        string[] specs = [.. units.Select(u => WireJson.Write(u.Unit))];
        long[] rows = [.. units.Select(u => u.Rows)];
        return db.Database.ExecuteSqlAsync(
            $"""
            INSERT INTO sagas.work_units (job_id, tenant, unit, state, attempt, failures, crashes, rows, rows_done, spec, scored, quarantined, elapsed_ms)
            SELECT {jobId}, (SELECT tenant FROM sagas.work_jobs WHERE id = {jobId}), {first} + nr - 1, 0, 0, 0, 0, u.rows, 0, u.spec::jsonb, 0, 0, 0
            FROM unnest({specs}, {rows}) WITH ORDINALITY AS u (spec, rows, nr)
            """, cancellationToken);
    }
}
