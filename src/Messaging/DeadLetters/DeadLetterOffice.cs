using System.Globalization;
using System.Runtime.ExceptionServices;
using Contracts;
using MassTransit;
using Messaging.Transports;
using Microsoft.Extensions.Logging;

namespace Messaging.DeadLetters;

/// <summary>Takes the place of the queues <c>_error</c> and <c>_skipped</c>: one queue for all endpoints, which somebody reads.</summary>
/// <param name="redelivers">Whether the transport delivers again what this throws. On the in-memory bus it would be lost.</param>
sealed partial class DeadLetterOffice(string endpoint, bool redelivers, TimeProvider clock, ILogger<DeadLetterOffice> logger)
    : IFilter<ExceptionReceiveContext>, IFilter<ReceiveContext>
{
    public async Task Send(ExceptionReceiveContext context, IPipe<ExceptionReceiveContext> next)
    {
        // The host stops and its patience is over. That is no fault of the message: the broker gives it to another.
        if (context.CancellationToken.IsCancellationRequested && context.Exception is OperationCanceledException)
            ExceptionDispatchInfo.Throw(context.Exception);

        // Nor is an outage that outlasted the retries, or for which there are none.
        if (redelivers && TransientError.IsOutage(context.Exception))
        {
            LogGivenBack(endpoint, context.Exception);
            await PauseAsync(context);
            ExceptionDispatchInfo.Throw(context.Exception);
        }

        LogFailed(endpoint, context.Exception);
        await KeepAsync(context, "error", context.Exception);
        await next.Send(context);
    }

    public async Task Send(ReceiveContext context, IPipe<ReceiveContext> next)
    {
        LogSkipped(endpoint);
        await KeepAsync(context, "skipped", null);
        await next.Send(context);
    }

    public void Probe(ProbeContext context) => context.CreateFilterScope("deadLetter");

    async Task KeepAsync(ReceiveContext context, string reason, Exception? exception)
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
            NewId.NextGuid(), endpoint, reason, messageId, types, ContentType(context), Headers(context), body,
            exception is null ? null : Redaction.Text($"{exception.GetType().FullName}: {exception.Message}"),
            exception is null ? null : Redaction.Text(exception.ToString()), clock.GetUtcNow().UtcDateTime);
        try
        {
            var queue = await context.SendEndpointProvider.GetSendEndpoint(QueueAddress.Of(DeadLetter.QueueName));
            await queue.Send(letter, CancellationToken.None);
        }
        catch (Exception failure) when (redelivers)
        {
            // The message is the broker's until its letter is kept.
            LogNotKept(endpoint, failure);
            await PauseAsync(context);
            throw;
        }
    }

    // What is thrown comes again at once, and the reason is still there.
    Task PauseAsync(ReceiveContext context) => Task.Delay(TransientRetry.Delay(0, outage: true), clock, context.CancellationToken);

    public static string ContentType(ReceiveContext context)
    {
        try
        {
            return context.ContentType?.ToString() ?? "";
        }
        catch (FormatException)
        {
            return "";
        }
    }

    // A sender's own header may bear the name of one that the transport gives.
    public static Dictionary<string, string> Headers(ReceiveContext context) => context.TransportHeaders.GetAll()
        .Where(h => !TransportHeader.IsOfDelivery(h.Key))
        .GroupBy(h => h.Key).ToDictionary(h => h.Key, h => Convert.ToString(h.Last().Value, CultureInfo.InvariantCulture) ?? "");
}
