using Microsoft.Extensions.Logging;

namespace Consumers.WorkLedger;

public sealed partial class UnitCommit
{
    [LoggerMessage(Level = LogLevel.Information, Message = "Dropped {Count} results of job {JobId}: their units were committed before, or the job was stopped")]
    partial void LogStale(int count, Guid jobId);
}
