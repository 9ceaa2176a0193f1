using Microsoft.Extensions.Logging;

namespace Consumers.BatchInference;

public sealed partial class JobMetrics
{
    [LoggerMessage(LogLevel.Warning, "Nobody hears of the jobs' progress for {Wait}: the database or the bus did not answer")]
    partial void LogPaused(TimeSpan wait, Exception exception);
}
