using System.Reflection;
using System.Runtime.InteropServices;

namespace Interop.DuckDb;

/// <summary>The native library. Loaded once, by path, before anything else of this binding is used.</summary>
public static unsafe class DuckDbLibrary
{
    /// <summary>Oldest library whose C API has all that this binding calls.</summary>
    public static readonly Version Oldest = new(1, 5, 0);

    static readonly Lock Gate = new();
    static string? loadedPath;
    static nint module;

    /// <summary>As the library reports it, e.g. <c>v1.5.6</c>; null before <see cref="Load"/>.</summary>
    public static string? Version { get; private set; }

    /// <summary>Loads the library and checks its version. The same path again does nothing.</summary>
    /// <exception cref="DllNotFoundException">No such file, or not a library of this platform.</exception>
    /// <exception cref="NotSupportedException">Older than <see cref="Oldest"/>.</exception>
    public static void Load(string path)
    {
        path = Path.GetFullPath(path);
        lock (Gate)
        {
            if (loadedPath == path)
                return;
            if (loadedPath is not null)
                throw new InvalidOperationException($"DuckDB is already loaded from {loadedPath}; a process has one.");
            if (!File.Exists(path))
                throw new DllNotFoundException($"DuckDB's library is not at {path}. Install the native parts with: npm ci --ignore-scripts");

            var candidate = NativeLibrary.Load(path);
            var version = CheckVersion(candidate, path);
            module = candidate;
            NativeLibrary.SetDllImportResolver(typeof(DuckDbLibrary).Assembly, Resolve);
            loadedPath = path;
            Version = version;
        }
    }

    static string CheckVersion(nint candidate, string path)
    {
        if (!NativeLibrary.TryGetExport(candidate, "duckdb_library_version", out var export))
            throw new NotSupportedException($"{path} is not DuckDB: it has no duckdb_library_version.");
        var text = NativeMethods.Text(((delegate* unmanaged[Cdecl]<byte*>)export)());
        var number = text.TrimStart('v').Split('-')[0];
        if (!System.Version.TryParse(number, out var version) || version < Oldest)
            throw new NotSupportedException($"{path} is DuckDB {text}; {Oldest} or newer is needed.");
        return text;
    }

    static nint Resolve(string name, Assembly assembly, DllImportSearchPath? searchPath) => name == "duckdb" ? module : 0;
}
