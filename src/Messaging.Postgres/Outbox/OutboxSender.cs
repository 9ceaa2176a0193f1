using System.Diagnostics;
using System.Net.Mime;
using MassTransit;
using MassTransit.Context;
using MassTransit.Logging;
using MassTransit.Serialization;
using Messaging.Transports;
using Microsoft.Extensions.Logging;

namespace Messaging.Postgres.Outbox;

/// <summary>Sends committed messages from memory, by the one road that the sweeper takes too.</summary>
sealed partial class OutboxSender(IBus bus, BusGate gate, SentMessages sent, TimeProvider clock, ILogger<OutboxSender> logger)
{
    // Started in order, confirmed together: a broker's confirmation takes a round trip.
    public const int Concurrency = 64;

    /// <summary>What cannot be sent now is left to the sweeper. It never throws: the messages are committed, and so is their cause.</summary>
    /// <param name="insertedAt">Timestamp of <see cref="TimeProvider.GetTimestamp"/> taken before the rows were inserted.</param>
    public async Task SendCommittedAsync(IReadOnlyList<OutboxMessage> messages, long insertedAt, CancellationToken cancellationToken)
    {
        foreach (var window in messages.Where(m => m.DueAt is null).Chunk(Concurrency))
        {
            if (!gate.IsOpen || cancellationToken.IsCancellationRequested || clock.GetElapsedTime(insertedAt) > OutboxLease.Usable)
            {
                LogLeftToSweeper(window.Length);
                if (gate.IsStopping)
                    sent.LeaveBehind(window.Select(m => m.Id));
                continue;
            }

            await Task.WhenAll(window.Select(SendOneAsync));
        }
    }

    async Task SendOneAsync(OutboxMessage message)
    {
        try
        {
            await SendAsync(message, CancellationToken.None);
            await sent.AddAsync(message.Id);
        }
        catch (Exception exception)
        {
            LogSendFailed(message.MessageId, message.Destination, exception);
        }
    }

    /// <exception cref="TimeoutException">The broker did not confirm in time.</exception>
    public async Task SendAsync(OutboxMessage message, CancellationToken cancellationToken)
    {
        if (message.ExpiresAt <= clock.GetUtcNow().UtcDateTime)
        {
            LogExpired(message.MessageId);
            return;
        }

        var headers = OutboxHeaders.FromJson(message.Headers);
        using var activity = StartActivity(message, headers);
        using var timeout = new CancellationTokenSource(OutboxLease.SendTimeout, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            var endpoint = await bus.GetSendEndpoint(new Uri(message.Destination)).WaitAsync(either.Token);
            await endpoint.Send(new SerializedMessageBody(), new StoredMessagePipe(message, headers, clock), either.Token).WaitAsync(either.Token);
            Telemetry.Sent.Add(1);
        }
        catch (OperationCanceledException) when (timeout.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException($"{message.Destination} did not confirm a message within {OutboxLease.SendTimeout.TotalSeconds:0} s");
        }
    }

    static Activity? StartActivity(OutboxMessage message, OutboxHeaders? headers)
    {
        var parent = headers?.Headers?.GetValueOrDefault(DiagnosticHeaders.ActivityId)?.ToString();
        return Telemetry.Source.StartActivity("outbox send", ActivityKind.Internal, parent, [new("messaging.message.id", message.MessageId)]);
    }

    sealed class StoredMessagePipe(OutboxMessage message, OutboxHeaders? headers, TimeProvider clock) : IPipe<SendContext>
    {
        public Task Send(SendContext context)
        {
            context.MessageId = message.MessageId;
            context.SupportedMessageTypes = message.MessageType.Split(';');
            context.RequestId = headers?.RequestId;
            context.ConversationId = headers?.ConversationId;
            context.CorrelationId = headers?.CorrelationId;
            context.InitiatorId = headers?.InitiatorId;
            context.SourceAddress = headers?.SourceAddress ?? context.SourceAddress;
            context.ResponseAddress = headers?.ResponseAddress;
            context.FaultAddress = headers?.FaultAddress;
            if (message.ExpiresAt is { } expires)
                context.TimeToLive = expires - clock.GetUtcNow().UtcDateTime;
            foreach (var (name, value) in headers?.Headers ?? [])
                context.Headers.Set(name, value);
            if (headers?.Properties is { } properties && context is TransportSendContext transport)
                transport.ReadPropertiesFrom(properties);

            if (headers?.Published == true)
                context.SetPublished();

            var contentType = new ContentType(message.ContentType);
            context.Serializer = new CopyBodySerializer(contentType, new BytesMessageBody(message.Body));
            context.ContentType = contentType;
            return Task.CompletedTask;
        }

        public void Probe(ProbeContext context) => context.CreateScope("storedMessage");
    }
}
