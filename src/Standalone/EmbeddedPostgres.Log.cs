namespace Standalone;

public sealed partial class EmbeddedPostgres
{
    [LoggerMessage(Level = LogLevel.Information, Message = "Created a PostgreSQL cluster in {Folder}")]
    static partial void LogCreated(ILogger logger, string folder);

    [LoggerMessage(Level = LogLevel.Information, Message = "Started PostgreSQL on 127.0.0.1:{Port} as process {ProcessId}")]
    static partial void LogStarted(ILogger logger, int port, int processId);

    [LoggerMessage(Level = LogLevel.Information, Message = "Adopted the running PostgreSQL on 127.0.0.1:{Port}, process {ProcessId}")]
    static partial void LogAdopted(ILogger logger, int port, int processId);

    [LoggerMessage(Level = LogLevel.Warning, Message = "PostgreSQL did not start and is tried again: {Reason}")]
    static partial void LogRetrying(ILogger logger, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "PostgreSQL, process {ProcessId}, has gone; starting it again")]
    static partial void LogLost(ILogger logger, int processId);

    [LoggerMessage(Level = LogLevel.Information, Message = "Stopped PostgreSQL, process {ProcessId}")]
    static partial void LogStopped(ILogger logger, int processId);

    [LoggerMessage(Level = LogLevel.Error, Message = "Could not stop PostgreSQL, process {ProcessId}: {Reason}")]
    static partial void LogNotStopped(ILogger logger, int processId, string reason);
}
