using System.Diagnostics;
using MassTransit;
using MassTransit.Logging;

namespace Messaging;

/// <summary>
/// Every message carries the trace it belongs to, also where nobody records it: the current activity's, else that of the message being
/// consumed. Where somebody records, MassTransit writes the id of its own span over it.
/// </summary>
sealed class TraceContext : IFilter<SendContext>, IFilter<PublishContext>
{
    public Task Send(SendContext context, IPipe<SendContext> next)
    {
        Carry(context);
        return next.Send(context);
    }

    public Task Send(PublishContext context, IPipe<PublishContext> next)
    {
        Carry(context);
        return next.Send(context);
    }

    public void Probe(ProbeContext context) => context.CreateFilterScope("traceContext");

    static void Carry(SendContext context)
    {
        if (context.Headers.TryGetHeader(DiagnosticHeaders.ActivityId, out _))
            return;
        var trace = Activity.Current?.Id ?? (context.TryGetPayload(out ConsumeContext? consumed) ? consumed.Headers.Get<string>(DiagnosticHeaders.ActivityId) : null);
        if (trace is not null)
            context.Headers.Set(DiagnosticHeaders.ActivityId, trace);
    }
}
