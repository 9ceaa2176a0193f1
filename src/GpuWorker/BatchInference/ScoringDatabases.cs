using System.Collections.Concurrent;
using Interop.DuckDb;
using Microsoft.Extensions.Options;

namespace GpuWorker.BatchInference;

/// <summary>
/// Opening a DuckDB costs more than scoring a small shard, so one that served well serves again. Each has one user at a time, and
/// goes after any failure, and after some uses: functions once registered stay as long as it does.
/// </summary>
public sealed class ScoringDatabases(IOptions<GpuWorkerOptions> options) : IDisposable
{
    const int MostUses = 200;

    readonly ConcurrentBag<(DuckDbDatabase Database, int Uses)> idle = [];

    public T Use<T>(Func<DuckDbConnection, T> work)
    {
        var (database, uses) = idle.TryTake(out var used) ? used : (Open(), 0);
        var served = false;
        try
        {
            using var connection = database.Connect();
            var result = work(connection);
            served = uses + 1 < MostUses && idle.Count < options.Value.EffectiveSlots;
            return result;
        }
        finally
        {
            if (served)
                idle.Add((database, uses + 1));
            else
                database.Dispose();
        }
    }

    public void Dispose()
    {
        while (idle.TryTake(out var left))
            left.Database.Dispose();
    }

    DuckDbDatabase Open()
    {
        var database = DuckDbDatabase.Open(new DuckDbSettings { Threads = options.Value.EffectiveThreads, MemoryLimit = options.Value.MemoryLimitPerSlot });
        using var connection = database.Connect();
        // Rows are read once: what is kept of them is only in the way.
        connection.Execute("SET enable_external_file_cache = false");
        return database;
    }
}
