using System.Threading.Channels;

namespace Messaging.Postgres.Outbox;

/// <summary>Wakes the sweeper before its timer: this node's at once, those of other nodes by <see cref="OutboxNotices"/>.</summary>
sealed class OutboxWakeUp
{
    readonly Lock _lock = new();
    TaskCompletionSource _signal = new(TaskCreationOptions.RunContinuationsAsynchronously);
    DateTime? _sleepingUntil;

    // One notice stands for all that have not been given yet.
    readonly Channel<bool> _forOthers = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { SingleReader = true, FullMode = BoundedChannelFullMode.DropWrite });

    public ChannelReader<bool> ForOthers => _forOthers.Reader;

    /// <summary>A row may be due now.</summary>
    public void Now()
    {
        lock (_lock)
            _signal.TrySetResult();
    }

    /// <summary>A row is due now that any node may send.</summary>
    public void Everywhere()
    {
        Now();
        _forOthers.Writer.TryWrite(true);
    }

    /// <summary>
    /// Committed schedules: only one that is due before the sweeper's timer disturbs it. Where nobody sweeps, other nodes must hear of it.
    /// </summary>
    public void Scheduled(IReadOnlyList<OutboxMessage> messages, TimeProvider clock)
    {
        foreach (var message in messages)
        {
            if (message.DueAt is not { } due)
                continue;
            lock (_lock)
            {
                var now = clock.GetUtcNow().UtcDateTime;
                if (_sleepingUntil is null && due < now + OutboxSweeper.Poll)
                    _forOthers.Writer.TryWrite(true);
                if (due < _sleepingUntil || due <= now)
                    _signal.TrySetResult();
            }
        }
    }

    /// <summary>Called before the sweeper looks at the table: what is committed later than that look wakes it.</summary>
    public Task Arm(DateTime sleepingUntil)
    {
        lock (_lock)
        {
            _sleepingUntil = sleepingUntil;
            if (_signal.Task.IsCompleted)
                _signal = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return _signal.Task;
        }
    }
}
