using Contracts;
using MassTransit;

namespace GpuWorker.Inference;

/// <summary>Every worker has its own queue for this.</summary>
public sealed class ClearModelCacheConsumer(ModelCache models, WorkerIdentity worker) : IConsumer<ClearModelCache>
{
    public Task Consume(ConsumeContext<ClearModelCache> context)
    {
        var (closed, inUse) = models.Clear();
        return context.Publish(new ModelCacheCleared(context.Message.RequestId, worker.Name, closed, inUse));
    }
}
