using Microsoft.Extensions.Logging;

namespace Sagas.Persistence;

public sealed partial class DatabaseMigration
{
    [LoggerMessage(LogLevel.Warning, "The tables are not there yet: {Reason}. Trying on")]
    partial void LogWaiting(string reason);

    [LoggerMessage(LogLevel.Information, "The tables are up to date")]
    partial void LogReady();
}
