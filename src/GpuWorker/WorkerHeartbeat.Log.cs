using Microsoft.Extensions.Logging;

namespace GpuWorker;

public sealed partial class WorkerHeartbeat
{
    [LoggerMessage(LogLevel.Warning, "Worker {Worker} could not announce itself; it gets no new work until it can")]
    partial void LogNotAnnounced(string worker, Exception exception);
}
