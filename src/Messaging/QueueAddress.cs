namespace Messaging;

/// <summary>Where a message to one queue is sent.</summary>
public static class QueueAddress
{
    // Not "queue:": on RabbitMQ the sender would declare the queue too, and not as its receiver does.
    public static Uri Of(string name) => new($"exchange:{name}");
}
