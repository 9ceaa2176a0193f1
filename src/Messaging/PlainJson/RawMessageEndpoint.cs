using System.Net.Mime;
using MassTransit;
using MassTransit.Configuration;
using MassTransit.Serialization;

namespace Messaging.PlainJson;

public static class RawMessageEndpoint
{
    /// <summary>
    /// Whatever comes to the endpoint, of whatever content type, reaches an <c>IConsumer&lt;RawMessage&gt;</c> unread: it may set limits
    /// before anything is parsed, and say itself what is wrong. Such a message has no id for the inbox.
    /// </summary>
    public static void ReceiveRawMessages(this IReceiveEndpointConfigurator endpoint)
    {
        endpoint.ConfigureConsumeTopology = false;
        // Whatever type a sender claims, no deserializer of the bus may touch it; what is sent from here is written as everywhere else.
        endpoint.ClearSerialization();
        endpoint.AddSerializer(new SystemTextJsonMessageSerializerFactory());
        endpoint.AddDeserializer(new RawMessageDeserializer(), isDefault: true);
    }
}

sealed class RawMessageDeserializer : ISerializerFactory, IMessageDeserializer
{
    static readonly string[] Types = [MessageUrn.ForTypeString<RawMessage>()];

    public ContentType ContentType { get; } = new("application/octet-stream");

    public IMessageDeserializer CreateDeserializer() => this;

    public IMessageSerializer CreateSerializer() => throw new NotSupportedException("Raw messages are only received");

    public ConsumeContext Deserialize(ReceiveContext receiveContext) =>
        new BodyConsumeContext(receiveContext, Deserialize(receiveContext.Body, receiveContext.TransportHeaders, receiveContext.InputAddress));

    public SerializerContext Deserialize(MessageBody body, Headers headers, Uri? destinationAddress = null)
    {
        // A header of this name goes before the transport's own field: what was requeued keeps the name it came with.
        var message = new RawMessage(body.GetBytes(), headers.Get<string>(MessageHeaders.MessageId));
        // None of the sender's headers are MassTransit's: an address or id in them means nothing here.
        var context = new RawMessageContext(new DictionarySendHeaders(), destinationAddress, default);
        return new SystemTextJsonSerializerContext(
            SystemTextJsonMessageSerializer.Instance, SystemTextJsonMessageSerializer.Options, ContentType, context, Types, message: message);
    }

    public MessageBody GetMessageBody(string text) => new StringMessageBody(text);

    public void Probe(ProbeContext context) => context.CreateScope("rawMessage");
}
