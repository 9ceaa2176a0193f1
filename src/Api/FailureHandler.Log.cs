using Microsoft.Extensions.Logging;

namespace Api;

sealed partial class FailureHandler
{
    [LoggerMessage(Level = LogLevel.Error, Message = "{Method} {Path} failed")]
    partial void LogUnexpected(Exception exception, string method, string path);
}
