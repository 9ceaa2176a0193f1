using Contracts;
using MassTransit;

namespace GpuWorker.Inference;

public sealed class InspectModelConsumer(ModelInspector inspector) : IConsumer<InspectModel>, IConsumer<InspectAdapter>
{
    public async Task Consume(ConsumeContext<InspectModel> context)
    {
        try
        {
            await context.RespondAsync(await inspector.InspectAsync(context.Message, context.CancellationToken));
        }
        // Also what may pass: who asks waits for an answer, not for us to try again.
        catch (FailureException error)
        {
            await context.RespondAsync(new ModelRefused(context.Message.Sha256, error.Failure));
        }
    }

    public async Task Consume(ConsumeContext<InspectAdapter> context)
    {
        try
        {
            await context.RespondAsync(await inspector.InspectAsync(context.Message, context.CancellationToken));
        }
        // Also what may pass: who asks waits for an answer, not for us to try again.
        catch (FailureException error)
        {
            await context.RespondAsync(new ModelRefused(context.Message.Sha256, error.Failure));
        }
    }
}
