using Microsoft.Extensions.Logging;

namespace GpuWorker.BatchInference;

public sealed partial class UnitRunner
{
    [LoggerMessage(LogLevel.Debug, "Finished unit {Unit} of job {JobId}: {Rows} rows in {Elapsed}")]
    partial void LogFinished(int unit, Guid jobId, long rows, TimeSpan elapsed);

    [LoggerMessage(LogLevel.Information, "Dropped unit {Unit} of job {JobId}: epoch {Epoch} is past")]
    partial void LogDropped(int unit, Guid jobId, int epoch);

    [LoggerMessage(LogLevel.Information, "Stopped unit {Unit} of job {JobId} ({Error})")]
    partial void LogStopped(int unit, Guid jobId, string error);

    [LoggerMessage(LogLevel.Information, "Left unit {Unit} of job {JobId}: the broker is away")]
    partial void LogBrokerLost(int unit, Guid jobId);

    [LoggerMessage(LogLevel.Warning, "Unit {Unit} of job {JobId} failed with {Code}: {Message}")]
    partial void LogFailed(int unit, Guid jobId, string code, string message, Exception? exception);
}
