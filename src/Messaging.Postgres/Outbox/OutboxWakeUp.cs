namespace Messaging.Postgres.Outbox;

/// <summary>Wakes the sweeper before its timer. Between nodes its poll does.</summary>
sealed class OutboxWakeUp
{
    readonly Lock _lock = new();
    TaskCompletionSource _signal = new(TaskCreationOptions.RunContinuationsAsynchronously);
    DateTime _sleepingUntil = DateTime.MinValue;

    /// <summary>A row may be due now.</summary>
    public void Now()
    {
        lock (_lock)
            _signal.TrySetResult();
    }

    /// <summary>Committed schedules: only one that is due before the sweeper's timer disturbs it.</summary>
    public void Scheduled(IReadOnlyList<OutboxMessage> messages, TimeProvider clock)
    {
        foreach (var message in messages)
        {
            if (message.DueAt is not { } due)
                continue;
            lock (_lock)
            {
                if (due < _sleepingUntil || due <= clock.GetUtcNow().UtcDateTime)
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
