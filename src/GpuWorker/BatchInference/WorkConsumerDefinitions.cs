using Contracts.BatchInference;
using MassTransit;
using Microsoft.Extensions.Options;

namespace GpuWorker.BatchInference;

// One endpoint for both kinds of unit, so that they share the worker's slots. No retry and no outbox: the ledger retries, and its
// commit tells the first result from a second.
public abstract class UnitConsumerDefinition<TConsumer> : ConsumerDefinition<TConsumer> where TConsumer : class, IConsumer
{
    readonly int slots;

    protected UnitConsumerDefinition(IOptions<GpuWorkerOptions> options)
    {
        EndpointName = BatchQueues.Units;
        slots = options.Value.EffectiveSlots;
    }

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator, IConsumerConfigurator<TConsumer> consumerConfigurator, IRegistrationContext context)
    {
        endpointConfigurator.PrefetchCount = slots;
        endpointConfigurator.ConcurrentMessageLimit = slots;
    }
}

public sealed class ScoreShardConsumerDefinition(IOptions<GpuWorkerOptions> options) : UnitConsumerDefinition<ScoreShardConsumer>(options);

public sealed class ConvertFileConsumerDefinition(IOptions<GpuWorkerOptions> options) : UnitConsumerDefinition<ConvertFileConsumer>(options);
