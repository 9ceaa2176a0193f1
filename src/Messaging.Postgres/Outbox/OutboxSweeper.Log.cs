using Microsoft.Extensions.Logging;

namespace Messaging.Postgres.Outbox;

sealed partial class OutboxSweeper
{
    [LoggerMessage(LogLevel.Information, "Freed {Count} unsent messages from the leases of an earlier run")]
    partial void LogFreed(int count);

    [LoggerMessage(LogLevel.Warning, "The sweeper pauses: the database does not answer")]
    partial void LogPaused(Exception exception);

    [LoggerMessage(LogLevel.Warning, "The sweeper pauses: the broker cannot be reached")]
    partial void LogAway(Exception exception);

    [LoggerMessage(LogLevel.Information, "The sweeper goes on")]
    partial void LogBack();

    [LoggerMessage(LogLevel.Warning, "Messages to {Destination} wait: it does not confirm them; next try in {Pause}")]
    partial void LogSilent(string destination, TimeSpan pause, Exception exception);

    [LoggerMessage(LogLevel.Warning, "Messages wait: {Destination} has no queue yet, its receiver was never started; next try in {Pause}")]
    partial void LogNoReceiver(string destination, TimeSpan pause);

    [LoggerMessage(LogLevel.Warning, "Message {MessageId} could not be sent to {Destination}; next try in {Delay}")]
    partial void LogRetry(Guid messageId, string destination, TimeSpan delay, Exception exception);

    [LoggerMessage(LogLevel.Error, "Message {MessageId} to {Destination} is dead after {Attempts} tries")]
    partial void LogDead(Guid messageId, string destination, int attempts, Exception exception);

    [LoggerMessage(LogLevel.Warning, "{Count} swept messages could not be settled; their leases lapse")]
    partial void LogUnsettled(int count, Exception exception);
}
