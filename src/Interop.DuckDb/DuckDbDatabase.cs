namespace Interop.DuckDb;

/// <summary>How much of the machine an in-memory instance may use.</summary>
public sealed record DuckDbSettings
{
    /// <summary>Threads that run queries, the caller's included. Default: 1.</summary>
    public int Threads { get; init; } = 1;

    /// <summary>As DuckDB reads it, e.g. <c>512MB</c>. Default: 512MB.</summary>
    public string MemoryLimit { get; init; } = "512MB";

    /// <summary>Where DuckDB spills when memory is short. Default: null, it fails instead.</summary>
    public string? TempDirectory { get; init; }

    /// <summary>Whether results come in the input's order. Default: true.</summary>
    public bool PreserveOrder { get; init; } = true;
}

/// <summary>An in-memory DuckDB that reads and writes local files and loads nothing from anywhere.</summary>
public sealed unsafe class DuckDbDatabase : IDisposable
{
    readonly DatabaseHandle handle;

    DuckDbDatabase(DatabaseHandle handle) => this.handle = handle;

    public static DuckDbDatabase Open(DuckDbSettings settings)
    {
        if (DuckDbLibrary.Version is null)
            throw new InvalidOperationException($"Call {nameof(DuckDbLibrary)}.{nameof(DuckDbLibrary.Load)} first.");
        if (NativeMethods.duckdb_create_config(out var pointer) != NativeMethods.Success)
            throw new DuckDbException("DuckDB could not allocate a configuration.", DuckDbErrorKind.OutOfMemory);

        using var config = new ConfigHandle(pointer);
        foreach (var (name, value) in Options(settings))
        {
            if (NativeMethods.duckdb_set_config(pointer, name, value) != NativeMethods.Success)
                throw new DuckDbException($"DuckDB refuses the setting {name} = {value}.", DuckDbErrorKind.InvalidInput);
        }
        if (NativeMethods.duckdb_open_ext(":memory:", out var database, pointer, out var error) != NativeMethods.Success)
        {
            var message = NativeMethods.Text(error);
            NativeMethods.duckdb_free(error);
            throw new DuckDbException(message);
        }
        return new DuckDbDatabase(new DatabaseHandle(database));
    }

    public DuckDbConnection Connect()
    {
        if (NativeMethods.duckdb_connect(handle, out var connection) != NativeMethods.Success)
            throw new DuckDbException("DuckDB could not open a connection.");
        return new DuckDbConnection(new ConnectionHandle(connection));
    }

    public void Dispose() => handle.Dispose();

    static IEnumerable<(string Name, string Value)> Options(DuckDbSettings settings)
    {
        yield return ("threads", settings.Threads.ToString());
        yield return ("memory_limit", settings.MemoryLimit);
        yield return ("temp_directory", settings.TempDirectory ?? "");
        yield return ("preserve_insertion_order", settings.PreserveOrder ? "true" : "false");
        yield return ("autoinstall_known_extensions", "false");
        yield return ("autoload_known_extensions", "false");
        yield return ("allow_community_extensions", "false");
        yield return ("allow_persistent_secrets", "false");
    }
}
