using Consumers.WorkLedger;
using Contracts;
using Contracts.BatchInference;
using MassTransit;
using Messaging.Postgres;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;
using Sagas.BatchInference;
using Sagas.Persistence;
using Sagas.WorkLedger;

namespace Consumers.BatchInference;

/// <summary>Looks at the files first, with no transaction open; then units and answer are written in one.</summary>
public sealed class PlanBatchJobConsumer(
    PlatformDbContext db, InputPlanner planner, PlanLedger ledger, ConsumeTransaction<PlatformDbContext> transaction, IOptions<WorkLedgerOptions> options)
    : IConsumer<PlanBatchJob>
{
    public async Task Consume(ConsumeContext<PlanBatchJob> context)
    {
        var ask = context.Message;
        var job = await db.WorkJobs.AsNoTracking().SingleOrDefaultAsync(j => j.Id == ask.JobId, context.CancellationToken);
        if (job is null)
            return;
        if (job.State != WorkJobState.Admitted || (ask.Step == 0 && PlanLedger.IsConverted(job)))
        {
            await transaction.RunAsync(context, (_, outbox, token) => PlanLedger.AnswerAgainAsync(job, outbox, token));
            return;
        }

        var spec = WireJson.Read<BatchJobSpec>(job.Spec);
        var slots = await db.SlotsAsync(options.Value, context.CancellationToken);
        try
        {
            var plan = ask.Step == 0 ? await planner.PlanAsync(job.Tenant, spec, job.PlannedFiles, slots, context.CancellationToken) : null;
            await transaction.RunAsync(context, (_, outbox, token) => plan is not null
                ? ledger.AddAsync(job.Id, job.PlannedFiles, plan, outbox, token)
                : ledger.AddConvertedAsync(job.Id, spec, slots, outbox, token));
        }
        catch (FailureException e) when (!e.IsTransient)
        {
            await transaction.RunAsync(context, (_, outbox, token) => ledger.FailAsync(job.Id, e.Failure, outbox, token));
        }
    }
}
