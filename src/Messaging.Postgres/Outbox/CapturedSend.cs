using MassTransit;
using MassTransit.Context;
using Messaging.Postgres.Inbox;
using Messaging.Transports;

namespace Messaging.Postgres.Outbox;

/// <summary>Turns a send that MassTransit has prepared into a row.</summary>
static class CapturedSend
{
    public static OutboxMessage ToOutboxMessage<T>(this SendContext<T> send, TimeProvider clock)
        where T : class
    {
        var now = clock.GetUtcNow().UtcDateTime;
        var schedule = send.TryGetPayload(out ScheduledSend? scheduled) ? scheduled : null;
        var due = schedule?.DueAt ?? (send.Delay is { } delay && delay > TimeSpan.Zero ? now + delay : null);
        send.Delay = null;
        send.MessageId ??= NewId.NextGuid();
        send.Headers.Set(InboxDay.Header, InboxDay.Format(due > now ? due.Value : now));

        return new OutboxMessage
        {
            Id = NewId.NextSequentialGuid(),
            MessageId = send.MessageId.Value,
            Destination = (send.DestinationAddress ?? throw new InvalidOperationException($"{typeof(T).Name} is sent nowhere")).ToString(),
            MessageType = string.Join(';', send.SupportedMessageTypes),
            Body = send.Serializer.GetMessageBody(send).GetBytes(),
            ContentType = (send.ContentType ?? send.Serializer.ContentType).ToString(),
            Headers = HeadersOf(send).ToJson(),
            SentAt = now,
            ExpiresAt = send.TimeToLive is { } live ? (due ?? now) + live : null,
            VisibleAt = due,
            DueAt = due,
            TokenId = schedule?.TokenId,
            GroupKey = send.TryGetPayload(out GroupKey? key) ? key.Value : null,
        };
    }

    static OutboxHeaders HeadersOf<T>(SendContext<T> send)
        where T : class
    {
        var headers = send.Headers.GetAll().ToDictionary(h => h.Key, h => h.Value);
        var properties = new Dictionary<string, object>();
        if (send is TransportSendContext transport)
            transport.WritePropertiesTo(properties);
        return new OutboxHeaders(
            headers, properties.Count > 0 ? properties : null, send.RequestId, send.ConversationId, send.CorrelationId, send.InitiatorId,
            send.SourceAddress, send.ResponseAddress, send.FaultAddress, send.IsPublished() ? true : null);
    }
}

/// <summary>Rides on a send context to the row.</summary>
sealed record ScheduledSend(DateTime DueAt, Guid TokenId);

/// <summary>Rides on a send context to the row.</summary>
sealed record GroupKey(string Value);
