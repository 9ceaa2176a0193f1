namespace Messaging.Postgres.Outbox;

/// <summary>How the sweeper of this node stands with one destination: one that does not answer keeps only its own messages waiting.</summary>
sealed class SweepLane(string destination)
{

    /// <summary>A queue that nobody has made by then is not coming: its messages are dead.</summary>
    public static readonly TimeSpan LongestWithoutReceiver = TimeSpan.FromHours(24);

    // Short, for who waits may have come back, and one message a pause costs nothing.
    static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);
    static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    static readonly TimeSpan Remembered = TimeSpan.FromMinutes(5);
    const int Concurrency = 64;

    readonly Lock _lock = new();
    int _failures;
    int _held;
    long _pausedAt;
    TimeSpan _pause;

    public string Destination => destination;

    public Task Running { get; set; } = Task.CompletedTask;

    /// <summary>Messages claimed and not settled yet.</summary>
    public int Held => Volatile.Read(ref _held);

    /// <summary>Sends started together. After a failure, one finds out whether it is over.</summary>
    public int WindowSize
    {
        get
        {
            lock (_lock)
                return _failures > 0 ? 1 : Concurrency;
        }
    }

    public bool IsOpen(TimeProvider clock) => Running.IsCompleted && PauseLeft(clock) <= TimeSpan.Zero;

    /// <summary>Nothing is on its way to it, and nothing failed lately.</summary>
    public bool IsForgotten(TimeProvider clock)
    {
        lock (_lock)
            return Running.IsCompleted && (_failures == 0 || PauseLeft(clock) < -Remembered);
    }

    public TimeSpan PauseLeft(TimeProvider clock)
    {
        lock (_lock)
            return _pause == TimeSpan.Zero ? TimeSpan.Zero : _pause - clock.GetElapsedTime(_pausedAt);
    }

    public void Hold(int messages) => Interlocked.Add(ref _held, messages);

    public void Succeeded()
    {
        lock (_lock)
            (_failures, _pause) = (0, TimeSpan.Zero);
    }

    /// <returns>The pause that begins, or null when one has begun already.</returns>
    public TimeSpan? Failed(TimeProvider clock)
    {
        lock (_lock)
        {
            if (PauseLeft(clock) > TimeSpan.Zero)
                return null;
            var pause = FirstPause * Math.Pow(2, Math.Min(_failures++, 10));
            (_pause, _pausedAt) = (pause < LongestPause ? pause : LongestPause, clock.GetTimestamp());
            return _pause;
        }
    }
}
