using Contracts.BatchInference;
using MassTransit;
using Microsoft.Extensions.Options;

namespace GpuWorker.BatchInference;

// One endpoint for both kinds of unit, so that they share the worker's slots. No retry and no outbox: the ledger retries, and its
// commit tells the first result from a second.
public sealed class ScoreShardConsumerDefinition : ConsumerDefinition<ScoreShardConsumer>
{
    readonly int slots;

    public ScoreShardConsumerDefinition(IOptions<GpuWorkerOptions> options)
    {
        EndpointName = BatchQueues.Units;
        slots = options.Value.EffectiveSlots;
    }

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator, IConsumerConfigurator<ScoreShardConsumer> consumerConfigurator, IRegistrationContext context)
    {
        endpointConfigurator.PrefetchCount = slots;
        endpointConfigurator.ConcurrentMessageLimit = slots;
    }
}

public sealed class ConvertFileConsumerDefinition : ConsumerDefinition<ConvertFileConsumer>
{
    readonly int slots;

    public ConvertFileConsumerDefinition(IOptions<GpuWorkerOptions> options)
    {
        EndpointName = BatchQueues.Units;
        slots = options.Value.EffectiveSlots;
    }

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator, IConsumerConfigurator<ConvertFileConsumer> consumerConfigurator, IRegistrationContext context)
    {
        endpointConfigurator.PrefetchCount = slots;
        endpointConfigurator.ConcurrentMessageLimit = slots;
    }
}
