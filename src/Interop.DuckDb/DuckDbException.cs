namespace Interop.DuckDb;

/// <summary>DuckDB refused or failed. The message is DuckDB's own; what it says of a file or line is worth showing.</summary>
public sealed class DuckDbException(string message, DuckDbErrorKind kind = DuckDbErrorKind.Unknown, Exception? inner = null)
    : Exception(message, inner)
{
    public DuckDbErrorKind Kind { get; } = kind;
}

/// <summary><c>duckdb_error_type</c>, the members somebody decides by. Others keep their number.</summary>
public enum DuckDbErrorKind
{
    Unknown = 0,
    OutOfRange = 1,
    Conversion = 2,
    Catalog = 13,
    Parser = 14,
    Syntax = 22,
    Binder = 24,
    Io = 28,
    Interrupt = 29,
    Fatal = 30,
    Internal = 31,
    InvalidInput = 32,
    OutOfMemory = 33,
    Permission = 34,
}
