using MassTransit;
using Messaging.Postgres.Outbox;

namespace Messaging.Postgres;

public static class OutboxBypasses
{
    /// <summary>Says that a message is meant to go at once, whatever becomes of its cause: a question whose answer is waited for.</summary>
    public static void BypassOutbox(this SendContext context) => context.GetOrAddPayload(static () => new DeliberateBypass());
}
