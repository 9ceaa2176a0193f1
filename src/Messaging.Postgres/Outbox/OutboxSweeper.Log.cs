using Microsoft.Extensions.Logging;

namespace Messaging.Postgres.Outbox;

sealed partial class OutboxSweeper
{
    [LoggerMessage(LogLevel.Information, "Freed {Count} unsent messages from the leases of an earlier run")]
    partial void LogFreed(int count);

    [LoggerMessage(LogLevel.Warning, "The sweeper pauses: the database does not answer")]
    partial void LogPaused(Exception exception);

    [LoggerMessage(LogLevel.Warning, "The sweeper pauses: {Destination} cannot be reached")]
    partial void LogAway(string destination, Exception exception);

    [LoggerMessage(LogLevel.Warning, "Message {MessageId} waits: {Destination} has no queue yet, its receiver was never started; next try in {Delay}")]
    partial void LogNoReceiver(Guid messageId, string destination, TimeSpan delay);

    [LoggerMessage(LogLevel.Warning, "Message {MessageId} could not be sent to {Destination}; next try in {Delay}")]
    partial void LogRetry(Guid messageId, string destination, TimeSpan delay, Exception exception);

    [LoggerMessage(LogLevel.Error, "Message {MessageId} to {Destination} is dead after {Attempts} tries")]
    partial void LogDead(Guid messageId, string destination, int attempts, Exception exception);
}
