using System.Runtime.CompilerServices;
using Interop.DuckDb;

namespace Interop.DuckDb.Tests;

static class RealLibrary
{
    [ModuleInitializer]
    internal static void Load() => DuckDbLibrary.Load(Find());

    // Installed by npm in the root of the clone, which is somewhere above the build output.
    internal static string Find()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var path = Path.Combine(folder.FullName, "node_modules", "@duckdb", "node-bindings-linux-x64", "libduckdb.so");
            if (File.Exists(path))
                return path;
        }
        throw new FileNotFoundException("libduckdb.so: run npm ci --ignore-scripts in the root of the clone.");
    }
}
