using MassTransit;

namespace Messaging.FaultInjection;

/// <summary>One per endpoint. Its copies take the transport's way again, as those of a broker would.</summary>
sealed class FaultInjectionFilter(FaultInjector injector) : IFilter<ReceiveContext>
{
    ReceivedCopy? _overtaken;

    public async Task Send(ReceiveContext context, IPipe<ReceiveContext> next)
    {
        if (ReceivedCopy.IsCopy(context))
        {
            await next.Send(context);
            return;
        }

        var copy = ReceivedCopy.Of(context);
        var faults = injector.Draw(copy.TypeNames);
        if (faults.Lost)
            return;
        if (faults.Twice)
            _ = SendAfterAsync(copy, faults.TwinDelay);
        if (faults.Late)
        {
            _ = SendAfterAsync(copy, faults.Delay);
            return;
        }

        if (faults.Reordered)
        {
            await SendOvertakenAsync(Interlocked.Exchange(ref _overtaken, copy));
            // Nobody may come to overtake it.
            _ = SendIfStillHeldAsync(copy);
            return;
        }

        await next.Send(context);
        await SendOvertakenAsync(Interlocked.Exchange(ref _overtaken, null));
    }

    public void Probe(ProbeContext context) => context.CreateFilterScope("faultInjection");

    async Task SendAfterAsync(ReceivedCopy copy, TimeSpan delay)
    {
        await Task.Delay(delay, injector.Clock);
        await copy.SendAsync();
    }

    async Task SendIfStillHeldAsync(ReceivedCopy copy)
    {
        await Task.Delay(injector.LongestDelay, injector.Clock);
        if (Interlocked.CompareExchange(ref _overtaken, null, copy) == copy)
            await copy.SendAsync();
    }

    static Task SendOvertakenAsync(ReceivedCopy? copy) => copy?.SendAsync() ?? Task.CompletedTask;
}
