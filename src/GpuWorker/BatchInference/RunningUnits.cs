using System.Collections.Concurrent;
using Microsoft.Extensions.Options;

namespace GpuWorker.BatchInference;

/// <summary>All executions of this process, and which jobs were stopped.</summary>
public sealed class RunningUnits(IOptions<GpuWorkerOptions> options, TimeProvider time)
{
    // A unit of a stopped job may lie in the broker for as long as an outage; a stop forgotten costs work, never a result.
    static readonly TimeSpan StopsKept = TimeSpan.FromHours(1);
    const int MostStopsKept = 10_000;

    readonly ConcurrentDictionary<Guid, RunningUnit> running = [];
    readonly ConcurrentDictionary<Guid, (int Epoch, long At)> stopped = [];

    public IReadOnlyCollection<RunningUnit> All => [.. running.Values];

    /// <summary>Null when the job's epoch is past: the unit is to be dropped.</summary>
    public RunningUnit? Start(Guid jobId, int epoch, int unit, int attempt, CancellationToken shuttingDown = default)
    {
        if (IsStopped(jobId, epoch))
            return null;
        var started = new RunningUnit(this, jobId, epoch, unit, attempt, TimeSpan.FromSeconds(options.Value.UnitSeconds), time, shuttingDown);
        running[started.Execution] = started;

        // A stop may have come between the question and the entry.
        if (!IsStopped(jobId, epoch))
            return started;
        started.Dispose();
        return null;
    }

    /// <summary>Ends what runs of the job with an older epoch, and drops what comes of it later.</summary>
    public void Stop(Guid jobId, int epoch)
    {
        stopped.AddOrUpdate(jobId, (epoch, time.GetTimestamp()), (_, known) => (Math.Max(known.Epoch, epoch), time.GetTimestamp()));
        foreach (var unit in running.Values.Where(u => u.JobId == jobId && u.Epoch < epoch))
            unit.Cancel(UnitEnd.Stopped);
        if (stopped.Count > MostStopsKept)
            Forget();
    }

    internal void Remove(RunningUnit unit) => running.TryRemove(unit.Execution, out _);

    bool IsStopped(Guid jobId, int epoch) => stopped.TryGetValue(jobId, out var stop) && epoch < stop.Epoch;

    void Forget()
    {
        foreach (var (job, (_, at)) in stopped)
        {
            if (time.GetElapsedTime(at) > StopsKept)
                stopped.TryRemove(job, out _);
        }
    }
}
