using Microsoft.Extensions.Logging;

namespace Messaging.Postgres.DeadLetters;

public sealed partial class DeadLetterBox
{
    [LoggerMessage(LogLevel.Information, "Dead letter {Id} goes to {Destination} again, as message {MessageId}")]
    partial void LogRequeued(Guid id, string destination, Guid messageId);
}
