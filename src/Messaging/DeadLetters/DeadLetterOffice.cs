using System.Globalization;
using System.Runtime.ExceptionServices;
using MassTransit;
using Microsoft.Extensions.Logging;

namespace Messaging.DeadLetters;

/// <summary>Takes the place of the queues <c>_error</c> and <c>_skipped</c>: one queue for all endpoints, which somebody reads.</summary>
sealed partial class DeadLetterOffice(string endpoint, TimeProvider clock, ILogger<DeadLetterOffice> logger)
    : IFilter<ExceptionReceiveContext>, IFilter<ReceiveContext>
{
    public async Task Send(ExceptionReceiveContext context, IPipe<ExceptionReceiveContext> next)
    {
        // The host stops and its patience is over. That is no fault of the message: the broker gives it to another.
        if (context.CancellationToken.IsCancellationRequested && context.Exception is OperationCanceledException)
            ExceptionDispatchInfo.Throw(context.Exception);

        LogFailed(endpoint, context.Exception);
        await Keep(context, "error", context.Exception);
        await next.Send(context);
    }

    public async Task Send(ReceiveContext context, IPipe<ReceiveContext> next)
    {
        LogSkipped(endpoint);
        await Keep(context, "skipped", null);
        await next.Send(context);
    }

    public void Probe(ProbeContext context) => context.CreateFilterScope("deadLetter");

    async Task Keep(ReceiveContext context, string reason, Exception? exception)
    {
        var body = context.Body.GetBytes();
        var (messageId, types) = EnvelopeHead.Read(body);
        if (endpoint == DeadLetter.QueueName)
        {
            // It has nowhere else to go: sending it to its own queue would be a loop.
            LogLost(Convert.ToBase64String(body));
            return;
        }

        var letter = new DeadLetter(
            NewId.NextGuid(), endpoint, reason, messageId, types, context.ContentType?.ToString() ?? "", Headers(context), body,
            exception is null ? null : $"{exception.GetType().FullName}: {exception.Message}", exception?.ToString(), clock.GetUtcNow().UtcDateTime);
        var queue = await context.SendEndpointProvider.GetSendEndpoint(QueueAddress.Of(DeadLetter.QueueName));
        await queue.Send(letter, CancellationToken.None);
    }

    // A sender's own header may bear the name of one that the transport gives.
    public static Dictionary<string, string> Headers(ReceiveContext context) => context.TransportHeaders.GetAll()
        .GroupBy(h => h.Key).ToDictionary(h => h.Key, h => Convert.ToString(h.Last().Value, CultureInfo.InvariantCulture) ?? "");
}
