using Contracts;
using MassTransit;
using Messaging.DeadLetters;

namespace Messaging.PlainJson;

public static class Refusal
{
    /// <summary>
    /// Puts a message that is wrong in itself among the dead letters, with the reason and every bad field. The queue goes on: it is no
    /// failure of ours, and trying again changes nothing.
    /// </summary>
    /// <param name="id">Of the dead letter; the same again is the same letter.</param>
    /// <param name="mostBytes">What is kept of the body.</param>
    public static async Task RefuseAsync(
        this ConsumeContext<RawMessage> context, Guid id, string queue, Failure failure, int mostBytes, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var (body, messageId) = context.Message;
        var letter = new DeadLetter(
            id, queue, DeadLetter.Refused, Guid.TryParse(messageId, out var guid) ? guid : null, [], DeadLetterOffice.ContentType(context.ReceiveContext),
            DeadLetterOffice.Headers(context.ReceiveContext), body.Length > mostBytes ? body[..mostBytes] : body, Describe(failure), null, now.UtcDateTime);
        var office = await context.GetSendEndpoint(QueueAddress.Of(DeadLetter.QueueName));
        await office.Send(letter, cancellationToken);
    }

    // PostgreSQL's text has no NUL, and names of fields are the sender's.
    static string Describe(Failure failure) =>
        string.Join('\n', failure.Fields.Select(f => $"{f.Field}: {f.Code}: {f.Message}").Prepend($"{failure.Code}: {failure.Message}")).Replace('\0', '\uFFFD');
}
