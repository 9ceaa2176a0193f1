using System.Net.Mime;
using MassTransit;
using MassTransit.Serialization;
using Messaging.DeadLetters;
using Messaging.Transports;

namespace Messaging.FaultInjection;

/// <summary>A received message that can be sent to the same endpoint again, later and unchanged.</summary>
sealed class ReceivedCopy : IPipe<SendContext>
{
    const string Header = "Fault-Injected";

    readonly ISendEndpointProvider _endpoints;
    readonly Uri _address;
    readonly byte[] _body;
    readonly ContentType _contentType;
    readonly Dictionary<string, object> _headers;
    readonly Guid? _messageId;
    readonly IReadOnlyList<string> _types;

    ReceivedCopy(ReceiveContext context)
    {
        _endpoints = context.SendEndpointProvider;
        _address = context.InputAddress;
        _body = context.Body.GetBytes();
        _contentType = context.ContentType;
        _headers = context.TransportHeaders.GetAll().Where(h => !TransportHeader.IsOfDelivery(h.Key)).ToDictionary(h => h.Key, h => h.Value);
        (_messageId, _types) = EnvelopeHead.Read(_body);
    }

    /// <summary>Without namespace.</summary>
    public IEnumerable<string> TypeNames => _types.Select(t => t[(t.LastIndexOf(':') + 1)..]);

    public static ReceivedCopy Of(ReceiveContext context) => new(context);

    public static bool IsCopy(ReceiveContext context) => context.TransportHeaders.TryGetHeader(Header, out _);

    public async Task SendAsync()
    {
        var endpoint = await _endpoints.GetSendEndpoint(_address);
        await endpoint.Send(new SerializedMessageBody(), this, CancellationToken.None);
    }

    Task IPipe<SendContext>.Send(SendContext context)
    {
        context.MessageId = _messageId;
        context.SupportedMessageTypes = [.. _types];
        foreach (var (name, value) in _headers)
            context.Headers.Set(name, value);
        context.Headers.Set(Header, "yes");
        context.Serializer = new CopyBodySerializer(_contentType, new BytesMessageBody(_body));
        context.ContentType = _contentType;
        return Task.CompletedTask;
    }

    void IProbeSite.Probe(ProbeContext context) => context.CreateScope("faultInjectedCopy");
}
