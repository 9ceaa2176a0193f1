using Microsoft.Extensions.Logging;

namespace Api.Models;

sealed partial class SampleModels
{
    [LoggerMessage(Level = LogLevel.Error, Message = "The sample model {Model} was refused")]
    partial void LogRefused(Exception exception, string model);

    [LoggerMessage(Level = LogLevel.Debug, Message = "The sample model {Model} is not registered yet")]
    partial void LogPostponed(Exception exception, string model);
}
