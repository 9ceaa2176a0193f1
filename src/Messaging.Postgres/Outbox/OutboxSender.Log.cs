using Microsoft.Extensions.Logging;

namespace Messaging.Postgres.Outbox;

sealed partial class OutboxSender
{
    [LoggerMessage(LogLevel.Debug, "{Count} committed messages are left to the sweeper")]
    partial void LogLeftToSweeper(int count);

    [LoggerMessage(LogLevel.Warning, "Message {MessageId} could not be sent to {Destination} and is left to the sweeper")]
    partial void LogSendFailed(Guid messageId, string destination, Exception exception);

    [LoggerMessage(LogLevel.Information, "Message {MessageId} was not sent in its time to live and is dropped")]
    partial void LogExpired(Guid messageId);
}
