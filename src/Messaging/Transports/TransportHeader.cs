namespace Messaging.Transports;

/// <summary>Names among the headers of a received message.</summary>
static class TransportHeader
{
    /// <summary>Whether it tells of this delivery, by the broker or its client, and is not to be sent on.</summary>
    public static bool IsOfDelivery(string name) => name.StartsWith("RabbitMQ-", StringComparison.Ordinal) || name.StartsWith("x-", StringComparison.Ordinal);
}
