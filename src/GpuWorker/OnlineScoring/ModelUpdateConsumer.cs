using Contracts;
using MassTransit;

namespace GpuWorker.OnlineScoring;

/// <summary>Every worker has its own queue for this.</summary>
sealed class ModelUpdateConsumer(PinnedModels pinned) : IConsumer<ModelUpdate>
{
    public Task Consume(ConsumeContext<ModelUpdate> context)
    {
        pinned.Hear(context.Message);
        return Task.CompletedTask;
    }
}

sealed class ModelUpdateDefinition : ConsumerDefinition<ModelUpdateConsumer>
{
    // Plain JSON does not say which type it is to MassTransit.
    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator, IConsumerConfigurator<ModelUpdateConsumer> consumerConfigurator, IRegistrationContext context) =>
        endpointConfigurator.UseRawJsonDeserializer(RawSerializerOptions.AnyMessageType, isDefault: true);
}
