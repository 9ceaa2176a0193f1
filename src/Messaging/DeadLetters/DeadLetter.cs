namespace Messaging.DeadLetters;

/// <summary>A message that no consumer could take, with what is needed to read it and to send it again.</summary>
/// <param name="Queue">Where it was received.</param>
/// <param name="Reason">
/// <c>error</c>: its consumer threw. <c>skipped</c>: nothing on the queue knew it. <c>refused</c>: an outsider's message that is wrong in itself.
/// </param>
/// <param name="MessageTypes">URNs, the most specific first; empty when the message could not be read.</param>
/// <param name="Body">As received; of a message refused for its size, the beginning.</param>
public sealed record DeadLetter(
    Guid Id,
    string Queue,
    string Reason,
    Guid? MessageId,
    IReadOnlyList<string> MessageTypes,
    string ContentType,
    IReadOnlyDictionary<string, string> Headers,
    byte[] Body,
    string? Error,
    string? Stack,
    DateTime DiedAt)
{
    /// <summary>Endpoint that keeps them. It works like any other queue, so hosts without a database can use it.</summary>
    public const string QueueName = "dead-letters";

    /// <summary>See <see cref="Reason"/>.</summary>
    public const string Refused = "refused";
}
