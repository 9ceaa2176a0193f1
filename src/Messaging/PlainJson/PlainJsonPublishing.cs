using System.Net.Mime;
using System.Text;
using Contracts;
using MassTransit;
using MassTransit.Serialization;

namespace Messaging.PlainJson;

public static class PlainJsonPublishing
{
    /// <summary>
    /// Publishes a message without MassTransit's envelope, for readers who know nothing of it: the body is the message, the content type
    /// <c>application/json</c>, and the header <c>type</c> says what it is.
    /// </summary>
    /// <param name="messageId">Made of what the message tells, so that its twin has the same.</param>
    public static Task PublishJson<T>(
        this IPublishEndpoint endpoint, T message, Guid messageId, string type, Action<PublishContext<T>>? configure, CancellationToken cancellationToken)
        where T : class =>
        endpoint.Publish(message, context =>
        {
            var contentType = new ContentType(MediaTypeNames.Application.Json);
            context.MessageId = messageId;
            context.Headers.Set("type", type);
            context.Serializer = new CopyBodySerializer(contentType, new BytesMessageBody(Encoding.UTF8.GetBytes(WireJson.Write(message))));
            context.ContentType = contentType;
            configure?.Invoke(context);
        }, cancellationToken);

    /// <inheritdoc cref="PublishJson{T}(IPublishEndpoint, T, Guid, string, Action{PublishContext{T}}?, CancellationToken)"/>
    public static Task PublishJson<T>(this IPublishEndpoint endpoint, T message, Guid messageId, string type, CancellationToken cancellationToken)
        where T : class => endpoint.PublishJson(message, messageId, type, null, cancellationToken);
}
