using Microsoft.Extensions.Logging;

namespace GpuWorker.BatchInference;

public sealed partial class UnitHeartbeats
{
    [LoggerMessage(LogLevel.Warning, "The heartbeat of unit {Unit} of job {JobId} did not get out")]
    partial void LogHeartbeatLost(int unit, Guid jobId, Exception exception);
}
