using Contracts.BatchInference;
using MassTransit;

namespace GpuWorker.BatchInference;

/// <summary>Converts, then says so; the message is acknowledged only after the broker has taken the result.</summary>
public sealed class ConvertFileConsumer(FileConverter converter, UnitRunner runner) : IConsumer<ConvertFile>
{
    public async Task Consume(ConsumeContext<ConvertFile> context)
    {
        var request = context.Message;
        var result = await runner.RunAsync(
            request.JobId, request.Epoch, request.Unit, request.Attempt, context.ReceiveContext.Redelivered, async unit => await converter.ConvertAsync(request, unit), context.CancellationToken);
        if (result is not null)
            await context.Publish(result, context.CancellationToken);
    }
}
