namespace GpuWorker.BatchInference;

/// <summary>Why a unit's token was cancelled.</summary>
public enum UnitEnd
{
    None,

    /// <summary>The job was cancelled or repaired: nobody waits for the result.</summary>
    Stopped,

    /// <summary>It would hold its message for too long.</summary>
    TooLong,

    /// <summary>The worker shuts down: the broker gives the message to another.</summary>
    ShuttingDown,
}

/// <summary>One execution of a shard or conversion in this process.</summary>
public sealed class RunningUnit : IDisposable
{
    readonly RunningUnits units;
    readonly CancellationTokenSource cancellation = new();
    readonly CancellationTokenRegistration shutdown;
    readonly ITimer clock;
    readonly TimeProvider time;
    readonly long started;
    int end;
    long rows;

    internal RunningUnit(
        RunningUnits units, Guid jobId, int epoch, int unit, int attempt, TimeSpan most, TimeProvider time, CancellationToken shuttingDown)
    {
        this.units = units;
        this.time = time;
        (JobId, Epoch, Unit, Attempt) = (jobId, epoch, unit, attempt);
        started = time.GetTimestamp();
        clock = time.CreateTimer(self => ((RunningUnit)self!).Cancel(UnitEnd.TooLong), this, most, Timeout.InfiniteTimeSpan);
        shutdown = shuttingDown.UnsafeRegister(self => ((RunningUnit)self!).Cancel(UnitEnd.ShuttingDown), this);
    }

    public Guid Execution { get; } = Guid.CreateVersion7();

    public Guid JobId { get; }

    public int Epoch { get; }

    public int Unit { get; }

    public int Attempt { get; }

    public CancellationToken Token => cancellation.Token;

    public UnitEnd End => (UnitEnd)Volatile.Read(ref end);

    public long RowsDone => Volatile.Read(ref rows);

    public TimeSpan Elapsed => time.GetElapsedTime(started);

    public double RowsPerSecond => RowsDone / Math.Max(Elapsed.TotalSeconds, 0.001);

    /// <summary>Called by the scoring threads, once a vector.</summary>
    public void AddRows(int count) => Interlocked.Add(ref rows, count);

    internal void Cancel(UnitEnd reason)
    {
        // The first reason stays: it decides what is reported.
        if (Interlocked.CompareExchange(ref end, (int)reason, (int)UnitEnd.None) != (int)UnitEnd.None)
            return;
        try
        {
            cancellation.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // It ended by itself in the same moment.
        }
    }

    public void Dispose()
    {
        units.Remove(this);
        clock.Dispose();
        shutdown.Dispose();
        cancellation.Dispose();
    }
}
