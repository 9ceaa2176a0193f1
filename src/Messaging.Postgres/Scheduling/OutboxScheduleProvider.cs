using MassTransit;
using MassTransit.Scheduling;
using Messaging.Postgres.Outbox;

namespace Messaging.Postgres.Scheduling;

/// <summary>A schedule is an outbox row that becomes visible when it is due. It is written, and cancelled, with the transaction around it.</summary>
/// <param name="endpoints">Whose sends end up in an outbox.</param>
sealed class OutboxScheduleProvider(ISendEndpointProvider endpoints, Func<Guid, CancellationToken, Task> cancel) : IScheduleMessageProvider
{
    public async Task<ScheduledMessage<T>> ScheduleSend<T>(
        Uri destinationAddress, DateTime scheduledTime, T message, IPipe<SendContext<T>> pipe, CancellationToken cancellationToken)
        where T : class
    {
        var due = scheduledTime.Kind == DateTimeKind.Local ? scheduledTime.ToUniversalTime() : DateTime.SpecifyKind(scheduledTime, DateTimeKind.Utc);
        var token = ScheduleTokenIdCache<T>.GetTokenId(message, NewId.NextGuid());
        var endpoint = await endpoints.GetSendEndpoint(destinationAddress);
        await endpoint.Send(message, new SchedulePipe<T>(pipe, new ScheduledSend(due, token)), cancellationToken);
        return new ScheduledMessageHandle<T>(token, due, destinationAddress, message);
    }

    public Task CancelScheduledSend(Guid tokenId, CancellationToken cancellationToken) => cancel(tokenId, cancellationToken);

    public Task CancelScheduledSend(Uri destinationAddress, Guid tokenId, CancellationToken cancellationToken) => cancel(tokenId, cancellationToken);

    sealed class SchedulePipe<T>(IPipe<SendContext<T>>? inner, ScheduledSend schedule) : IPipe<SendContext<T>>
        where T : class
    {
        public async Task Send(SendContext<T> context)
        {
            if (inner is not null)
                await inner.Send(context);
            context.GetOrAddPayload(() => schedule);
            // Without it MassTransit accepts a timeout that a later one has replaced.
            context.Headers.Set(MessageHeaders.SchedulingTokenId, schedule.TokenId.ToString("D"));
        }

        public void Probe(ProbeContext context) => inner?.Probe(context);
    }
}
