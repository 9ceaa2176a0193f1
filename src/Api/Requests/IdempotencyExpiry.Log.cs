using Microsoft.Extensions.Logging;

namespace Api.Requests;

sealed partial class IdempotencyExpiry
{
    [LoggerMessage(Level = LogLevel.Warning, Message = "Old idempotency keys stay for another hour: the database did not answer")]
    partial void LogPostponed(Exception exception);
}
