using Contracts;
using MassTransit;

namespace GpuWorker.Inference;

public sealed class InspectModelConsumer(ModelInspector inspector) : IConsumer<InspectModel>
{
    public async Task Consume(ConsumeContext<InspectModel> context)
    {
        try
        {
            // Off the transport's thread: the dry run computes.
            var inspected = await Task.Run(
                () => inspector.Inspect(context.Message.Uri, context.Message.Sha256, context.CancellationToken), context.CancellationToken);
            await context.RespondAsync(inspected);
        }
        catch (FailureException error) when (!error.IsTransient)
        {
            await context.RespondAsync(new ModelRefused(context.Message.Sha256, error.Failure));
        }
    }
}
