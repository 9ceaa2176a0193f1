using System.Text;

namespace Interop.DuckDb;

/// <summary>A prepared statement. Parameters are bound by position.</summary>
public sealed unsafe class DuckDbStatement : IDisposable
{
    readonly DuckDbConnection connection;
    readonly PreparedHandle handle;

    internal DuckDbStatement(DuckDbConnection connection, PreparedHandle handle)
    {
        this.connection = connection;
        this.handle = handle;
    }

    /// <param name="parameters">null, bool, long, int, double, string or byte[].</param>
    public DuckDbResult Query(IReadOnlyList<object?> parameters, CancellationToken cancellationToken = default)
    {
        var expected = (int)NativeMethods.duckdb_nparams(handle);
        if (expected != parameters.Count)
            throw new ArgumentException($"The statement has {expected} parameters, {parameters.Count} were given.", nameof(parameters));
        NativeMethods.duckdb_clear_bindings(handle);
        for (var i = 0; i < parameters.Count; i++)
        {
            if (Bind((ulong)i + 1, parameters[i]) != NativeMethods.Success)
                throw new DuckDbException($"Parameter {i + 1} was refused: {NativeMethods.Text(NativeMethods.duckdb_prepare_error(handle))}");
        }
        return connection.Run(result => NativeMethods.duckdb_execute_prepared(handle, result), cancellationToken);
    }

    public long Execute(IReadOnlyList<object?> parameters, CancellationToken cancellationToken = default)
    {
        using var result = Query(parameters, cancellationToken);
        return result.RowsChanged;
    }

    public void Dispose() => handle.Dispose();

    int Bind(ulong index, object? value)
    {
        switch (value)
        {
            case null:
                return NativeMethods.duckdb_bind_null(handle, index);
            case bool flag:
                return NativeMethods.duckdb_bind_boolean(handle, index, flag);
            case int number:
                return NativeMethods.duckdb_bind_int64(handle, index, number);
            case long number:
                return NativeMethods.duckdb_bind_int64(handle, index, number);
            case double number:
                return NativeMethods.duckdb_bind_double(handle, index, number);
            case string text:
                var bytes = Encoding.UTF8.GetBytes(text);
                fixed (byte* start = bytes)
                    return NativeMethods.duckdb_bind_varchar_length(handle, index, NotNull(start), (ulong)bytes.Length);
            case byte[] blob:
                fixed (byte* start = blob)
                    return NativeMethods.duckdb_bind_blob(handle, index, NotNull(start), (ulong)blob.Length);
            default:
                throw new ArgumentException($"A {value.GetType()} cannot be a parameter.", nameof(value));
        }
    }

    // An empty array pins to null, which DuckDB would read as a missing value.
    static byte* NotNull(byte* start) => start == null ? (byte*)1 : start;
}
