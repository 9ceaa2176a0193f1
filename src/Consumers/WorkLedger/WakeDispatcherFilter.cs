using MassTransit;
using Sagas.WorkLedger;

namespace Consumers.WorkLedger;

/// <summary>Stands outside the outbox, so that the dispatcher wakes when the consumer's transaction has committed, not before.</summary>
sealed class WakeDispatcherFilter(LedgerSignal signal) : IFilter<ConsumeContext>
{
    public async Task Send(ConsumeContext context, IPipe<ConsumeContext> next)
    {
        await next.Send(context);
        signal.Set();
    }

    public void Probe(ProbeContext context) => context.CreateFilterScope("wakeDispatcher");
}
