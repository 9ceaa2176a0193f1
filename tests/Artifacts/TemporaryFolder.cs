using System.Runtime.CompilerServices;
using Interop.DuckDb;

namespace Artifacts.Tests;

sealed class TemporaryFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("sagas-artifacts-").FullName;

    public string this[string name] => System.IO.Path.Combine(Path, name);

    public string Write(string name, string content) => Write(name, System.Text.Encoding.UTF8.GetBytes(content));

    public string Write(string name, byte[] content)
    {
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(this[name])!);
        File.WriteAllBytes(this[name], content);
        return FileUri.FromPath(this[name]);
    }

    /// <summary>Writes the rows of a query as Parquet.</summary>
    public string WriteParquet(string name, string select, string options = "")
    {
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(this[name])!);
        using var database = DuckDbDatabase.Open(new DuckDbSettings());
        using var connection = database.Connect();
        connection.Execute($"COPY ({select}) TO {DuckDbSql.Literal(this[name])} (FORMAT parquet{options})");
        return FileUri.FromPath(this[name]);
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}

static class RealLibrary
{
    // Installed by npm in the root of the clone, which is somewhere above the build output.
    [ModuleInitializer]
    internal static void Load()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        string Library() => Path.Combine(folder.FullName, "node_modules", "@duckdb", "node-bindings-linux-x64", "libduckdb.so");
        while (!File.Exists(Library()))
            folder = folder.Parent ?? throw new FileNotFoundException("libduckdb.so: run npm ci --ignore-scripts in the root of the clone.");
        DuckDbLibrary.Load(Library());
    }
}
