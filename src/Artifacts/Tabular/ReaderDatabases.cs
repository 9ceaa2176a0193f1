using System.Collections.Concurrent;
using Interop.DuckDb;

namespace Artifacts.Tabular;

/// <summary>
/// Opening a DuckDB takes several times as long as looking at a file, so one that served well serves again. Each has one user at a
/// time and goes after any failure: a file that breaks its reader must not be held against another.
/// </summary>
static class ReaderDatabases
{
    const int MostIdle = 4;

    static readonly ConcurrentBag<DuckDbDatabase> Idle = [];

    public static T Use<T>(Func<DuckDbConnection, T> read)
    {
        var database = Idle.TryTake(out var idle) ? idle : DuckDbDatabase.Open(new DuckDbSettings { MemoryLimit = "256MB" });
        var served = false;
        try
        {
            using var connection = database.Connect();
            var result = read(connection);
            served = Idle.Count < MostIdle;
            return result;
        }
        finally
        {
            if (served)
                Idle.Add(database);
            else
                database.Dispose();
        }
    }
}
