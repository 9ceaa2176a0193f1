namespace Standalone;

public sealed class PostgresStartException(string message, Exception? inner = null) : Exception(message, inner);
