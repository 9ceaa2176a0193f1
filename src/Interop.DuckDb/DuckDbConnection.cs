using System.Collections.Concurrent;

namespace Interop.DuckDb;

/// <summary>One conversation with a database. Not for several threads at once, except cancellation.</summary>
public sealed unsafe class DuckDbConnection : IDisposable
{
    // Cancellation may come before DuckDB has started the query, and starting one clears the flag: so it is raised again until heeded.
    static readonly TimeSpan InterruptAgain = TimeSpan.FromMilliseconds(10);

    readonly ConnectionHandle handle;
    readonly ConcurrentBag<ScalarFunction> functions = [];

    internal DuckDbConnection(ConnectionHandle handle) => this.handle = handle;

    /// <summary>Runs one or more statements and gives the rows changed or written by the last.</summary>
    public long Execute(string sql, CancellationToken cancellationToken = default)
    {
        using var result = Query(sql, cancellationToken);
        return result.RowsChanged;
    }

    /// <summary>Runs one or more statements; the result of the last is held in memory.</summary>
    public DuckDbResult Query(string sql, CancellationToken cancellationToken = default) =>
        Run(result => NativeMethods.duckdb_query(handle, Checked(sql), result), cancellationToken);

    /// <summary>Runs one statement with <c>$1</c>, <c>$2</c> … taken from <paramref name="parameters"/>.</summary>
    public DuckDbResult Query(string sql, IReadOnlyList<object?> parameters, CancellationToken cancellationToken = default)
    {
        using var statement = Prepare(sql);
        return statement.Query(parameters, cancellationToken);
    }

    public DuckDbStatement Prepare(string sql)
    {
        var state = NativeMethods.duckdb_prepare(handle, Checked(sql), out var pointer);
        var statement = new PreparedHandle(pointer);
        if (state == NativeMethods.Success)
            return new DuckDbStatement(this, statement);

        var message = NativeMethods.Text(NativeMethods.duckdb_prepare_error(statement));
        statement.Dispose();
        throw new DuckDbException(message, DuckDbErrorKind.InvalidInput);
    }

    /// <summary>Makes a function of ours callable from SQL, from every connection of the database.</summary>
    public void Register(ScalarFunction function)
    {
        function.Register(handle);
        functions.Add(function);
    }

    /// <summary>Ends whatever the connection runs, from any thread.</summary>
    public void Interrupt() => NativeMethods.duckdb_interrupt(handle);

    public void Dispose() => handle.Dispose();

    internal DuckDbResult Run(RunQuery query, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var result = new ResultHandle();
        int state;
        using (var interruption = cancellationToken.CanBeCanceled ? new Interruption(this, cancellationToken) : null)
            state = query(result.Pointer);
        if (state == NativeMethods.Success)
            return new DuckDbResult(result);

        var message = NativeMethods.Text(NativeMethods.duckdb_result_error(result.Pointer));
        var kind = (DuckDbErrorKind)NativeMethods.duckdb_result_error_type(result.Pointer);
        result.Dispose();
        var inner = functions.Select(f => f.TakeFailure()).FirstOrDefault(f => f is not null);
        if (cancellationToken.IsCancellationRequested && (kind == DuckDbErrorKind.Interrupt || inner is OperationCanceledException))
            throw new OperationCanceledException(message, inner, cancellationToken);
        throw new DuckDbException(message, kind, inner);
    }

    internal delegate int RunQuery(NativeResult* result);

    static string Checked(string sql) =>
        sql.Contains('\0') ? throw new ArgumentException("SQL cannot hold a NUL.", nameof(sql)) : sql;

    sealed class Interruption : IDisposable
    {
        readonly Lock gate = new();
        readonly DuckDbConnection connection;
        readonly CancellationTokenRegistration registration;
        Timer? again;
        bool ended;

        internal Interruption(DuckDbConnection connection, CancellationToken cancellationToken)
        {
            this.connection = connection;
            registration = cancellationToken.UnsafeRegister(static self => ((Interruption)self!).Begin(), this);
        }

        public void Dispose()
        {
            lock (gate)
            {
                ended = true;
                again?.Dispose();
            }
            registration.Dispose();
        }

        void Begin()
        {
            lock (gate)
            {
                if (!ended)
                    again = new Timer(static self => ((Interruption)self!).Interrupt(), this, TimeSpan.Zero, InterruptAgain);
            }
        }

        // Under the gate, so that a late tick never ends the connection's next query.
        void Interrupt()
        {
            lock (gate)
            {
                if (!ended)
                    connection.Interrupt();
            }
        }
    }
}
