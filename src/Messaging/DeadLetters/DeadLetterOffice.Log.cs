using Microsoft.Extensions.Logging;

namespace Messaging.DeadLetters;

sealed partial class DeadLetterOffice
{
    [LoggerMessage(LogLevel.Error, "A message failed on {Endpoint} and is kept as a dead letter")]
    partial void LogFailed(string endpoint, Exception exception);

    [LoggerMessage(LogLevel.Warning, "A message on {Endpoint} was meant for no consumer there and is kept as a dead letter")]
    partial void LogSkipped(string endpoint);

    [LoggerMessage(LogLevel.Warning, "Something that {Endpoint} needs is away; a message goes back to its queue")]
    partial void LogGivenBack(string endpoint, Exception exception);

    [LoggerMessage(LogLevel.Warning, "A dead letter of {Endpoint} could not be sent; its message goes back to its queue")]
    partial void LogNotKept(string endpoint, Exception exception);

    [LoggerMessage(LogLevel.Critical, "A dead letter could not be kept; its body in base64: {Body}")]
    partial void LogLost(string body);
}
