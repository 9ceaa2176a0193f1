using Api.Security;
using Contracts.BatchInference;
using MassTransit;
using Messaging;
using Messaging.PlainJson;
using Microsoft.Extensions.Options;

namespace Api.BatchInference;

/// <summary>What anybody may send who is let to the broker: it is the home tenant's, whatever it says.</summary>
sealed class InputConsumer(BatchJobIntake intake, IOptions<TenancyOptions> tenancy) : IConsumer<RawMessage>
{
    public Task Consume(ConsumeContext<RawMessage> context) => intake.TakeAsync(context, BatchQueues.Input, tenancy.Value.Home);
}

/// <summary>What comes from senders whom the broker lets publish here because they are trusted to say whose job it is.</summary>
sealed class TrustedInputConsumer(BatchJobIntake intake, IOptions<BatchInferenceApiOptions> options) : IConsumer<RawMessage>
{
    public Task Consume(ConsumeContext<RawMessage> context) => intake.TakeAsync(context, options.Value.TrustedInput, null);
}

abstract class RawInputDefinition<TConsumer> : ConsumerDefinition<TConsumer> where TConsumer : class, IConsumer
{
    protected RawInputDefinition(string queue)
    {
        EndpointName = queue;
        // Each opens the first files of an input.
        ConcurrentMessageLimit = 4;
    }

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator, IConsumerConfigurator<TConsumer> consumerConfigurator, IRegistrationContext context)
    {
        endpointConfigurator.ReceiveRawMessages();
        endpointConfigurator.UseTransientRetry();
    }
}

sealed class InputDefinition() : RawInputDefinition<InputConsumer>(BatchQueues.Input);

sealed class TrustedInputDefinition(IOptions<BatchInferenceApiOptions> options) : RawInputDefinition<TrustedInputConsumer>(options.Value.TrustedInput);
