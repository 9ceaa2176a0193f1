using Artifacts;
using Contracts;
using Contracts.BatchInference;
using MassTransit;
using Microsoft.EntityFrameworkCore;
using Sagas.BatchInference;
using Sagas.Persistence;

namespace Consumers.BatchInference;

public sealed class CleanUpWorkConsumer(PlatformDbContext db, ArtifactStore artifacts) : IConsumer<CleanUpWork>
{
    public async Task Consume(ConsumeContext<CleanUpWork> context)
    {
        if (await db.WorkJobs.Where(j => j.Id == context.Message.JobId).Select(j => new { j.Tenant, j.Spec }).SingleOrDefaultAsync(context.CancellationToken) is not { } job)
            return;
        // A saga that gave up on its publication leaves the ledger's row behind: it would keep its tenant's place for good.
        await db.FailCommittedAsync(context.Message.JobId, BatchJobStateMachine.NoAnswer, context.CancellationToken);
        var spec = WireJson.Read<BatchJobSpec>(job.Spec);
        var own = artifacts.For(job.Tenant);
        await own.DeleteFolderAsync(spec.WorkFolder(context.Message.JobId), context.CancellationToken);
        own.DeleteFolderIfEmpty(spec.ResultFolder(context.Message.JobId));
    }
}
