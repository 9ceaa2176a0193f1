using Microsoft.Extensions.Logging;

namespace Consumers.WorkLedger;

public sealed partial class Dispatcher
{
    [LoggerMessage(Level = LogLevel.Debug, Message = "Dispatched {Units} units, admitted {Jobs} jobs")]
    partial void LogDispatched(int units, int jobs);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Dispatching pauses for {Poll}: the ledger did not answer")]
    partial void LogPaused(Exception exception, TimeSpan poll);
}
