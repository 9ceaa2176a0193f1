using MassTransit;

namespace Messaging.Transports;

/// <summary>A message sent to a queue must reach it. One that is published may interest nobody.</summary>
sealed class MandatorySend : IFilter<SendContext>
{
    public Task Send(SendContext context, IPipe<SendContext> next)
    {
        if (context is not PublishContext && context.TryGetPayload(out RabbitMqSendContext? rabbit))
            rabbit.Mandatory = true;
        return next.Send(context);
    }

    public void Probe(ProbeContext context) => context.CreateFilterScope("mandatorySend");
}
