using Microsoft.Extensions.Logging;

namespace Api.BatchInference;

sealed partial class JobFeed
{
    [LoggerMessage(Level = LogLevel.Warning, Message = "The progress of job {Job} could not be read")]
    partial void LogUnread(Exception exception, Guid job);
}
