using Microsoft.Extensions.Logging;
using Sagas.WorkLedger;

namespace Consumers.WorkLedger;

public sealed partial class Reaper
{
    [LoggerMessage(Level = LogLevel.Warning, Message = "Took back unit {Unit} of job {JobId}: its lease as {State} ran out, last on worker {Worker}")]
    partial void LogTakenBack(int unit, Guid jobId, WorkUnitState state, string? worker);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Leases are not judged for {Grace}: the ledger did not answer")]
    partial void LogPaused(Exception exception, TimeSpan grace);
}
