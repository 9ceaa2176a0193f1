using MassTransit;

namespace Messaging.Transports;

/// <summary>
/// A message sent to a queue must reach it: without that the broker drops one whose queue nobody has made yet, and says nothing. One that
/// is published may interest nobody, and one to a temporary queue, such as an answer, may come after its owner has gone.
/// </summary>
sealed class MandatorySend : IFilter<SendContext>
{
    public Task Send(SendContext context, IPipe<SendContext> next)
    {
        if (context.TryGetPayload(out RabbitMqSendContext? rabbit))
            rabbit.Mandatory = !IsTemporary(context.DestinationAddress);
        return next.Send(context);
    }

    public void Probe(ProbeContext context) => context.CreateFilterScope("mandatorySend");

    static bool IsTemporary(Uri? address) => address?.Query.Contains("temporary=true", StringComparison.OrdinalIgnoreCase) == true;
}

/// <summary>Remembers of a message that it was published, for when it is sent later.</summary>
sealed class PublishedMark : IFilter<PublishContext>
{
    public Task Send(PublishContext context, IPipe<PublishContext> next)
    {
        context.GetOrAddPayload(static () => new Published());
        return next.Send(context);
    }

    public void Probe(ProbeContext context) => context.CreateFilterScope("publishedMark");
}

/// <summary>Rides on a context.</summary>
sealed class Published;

/// <summary>Tells published messages from sent ones. To a context they look alike.</summary>
public static class PublishedMessage
{
    public static bool IsPublished(this SendContext context) => context.TryGetPayload<Published>(out _);

    /// <summary>For a message that was published some time ago and is sent now: nobody has to be there for it.</summary>
    public static void SetPublished(this SendContext context)
    {
        if (context.TryGetPayload(out RabbitMqSendContext? rabbit))
            rabbit.Mandatory = false;
    }
}
