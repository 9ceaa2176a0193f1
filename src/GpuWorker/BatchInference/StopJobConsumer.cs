using Contracts.WorkLedger;
using MassTransit;

namespace GpuWorker.BatchInference;

/// <summary>Every worker has its own queue for this.</summary>
public sealed class StopJobConsumer(RunningUnits units) : IConsumer<StopJob>
{
    public Task Consume(ConsumeContext<StopJob> context)
    {
        units.Stop(context.Message.JobId, context.Message.Epoch);
        return Task.CompletedTask;
    }
}
