using Contracts.BatchInference;
using MassTransit;
using Messaging.Postgres;
using Microsoft.EntityFrameworkCore;
using Sagas.BatchInference;
using Sagas.Persistence;
using Sagas.WorkLedger;

namespace Consumers.BatchInference;

/// <summary>Says on <c>batch-inference-output</c> how a job ended, with the ledger's counts.</summary>
public sealed class AnnounceJobConsumer(PlatformDbContext db, TimeProvider clock)
    : IConsumer<BatchJobCompleted>, IConsumer<BatchJobFailed>, IConsumer<BatchJobCancelled>
{
    public Task Consume(ConsumeContext<BatchJobCompleted> context)
    {
        var end = context.Message;
        var status = end.WithErrors ? nameof(BatchJobStateMachine.CompletedWithErrors) : nameof(BatchJobStateMachine.Completed);
        return AnnounceAsync(
            context, end.JobId, end.Tenant, BatchEventTypes.Completed, status, output => output with { ManifestUri = end.ManifestUri, ManifestSha256 = end.ManifestSha256 });
    }

    public Task Consume(ConsumeContext<BatchJobFailed> context) => AnnounceAsync(
        context, context.Message.JobId, context.Message.Tenant, BatchEventTypes.Failed, nameof(BatchJobStateMachine.Failed), output => output with { Failure = context.Message.Failure });

    public Task Consume(ConsumeContext<BatchJobCancelled> context) => AnnounceAsync(
        context, context.Message.JobId, context.Message.Tenant, BatchEventTypes.Cancelled, nameof(BatchJobStateMachine.Cancelled), output => output with { Reason = context.Message.Reason });

    async Task AnnounceAsync(ConsumeContext context, Guid id, string tenant, string type, string status, Func<BatchInferenceOutput, BatchInferenceOutput> complete)
    {
        WorkJob? job = await db.WorkJobs.AsNoTracking().SingleOrDefaultAsync(j => j.Id == id, context.CancellationToken);
        var output = new BatchInferenceOutput(type, id, tenant, job?.Reference, status, clock.GetUtcNow(), job?.CountRows(), Links: JobLinks.Of(id));
        await context.AnnounceAsync(complete(output), context.CancellationToken);
    }
}

sealed class AnnounceJobDefinition : ConsumerDefinition<AnnounceJobConsumer>
{
    public AnnounceJobDefinition() => EndpointName = "batch-announce";

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator, IConsumerConfigurator<AnnounceJobConsumer> consumerConfigurator, IRegistrationContext context) =>
        endpointConfigurator.UsePostgresOutbox<PlatformDbContext>(context);
}
