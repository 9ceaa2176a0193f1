using MassTransit;
using Microsoft.EntityFrameworkCore;

namespace Messaging.Postgres.Outbox;

/// <summary>The messages of one DbContext between being sent and being committed.</summary>
sealed class OutboxBuffer(DbContext db, TimeProvider clock)
{
    readonly Lock _lock = new();
    readonly List<OutboxMessage> _unsaved = [];
    readonly List<OutboxMessage> _uncommitted = [];
    long _insertedAt;

    public void Add<T>(SendContext<T> context)
        where T : class
    {
        var message = context.ToOutboxMessage(clock);
        // A scope may publish in parallel; a DbContext may not be used so.
        lock (_lock)
        {
            db.Add(message);
            _unsaved.Add(message);
        }
    }

    public void Saving()
    {
        lock (_lock)
        {
            if (_uncommitted.Count == 0)
                _insertedAt = clock.GetTimestamp();
        }
    }

    /// <summary>Rows that exist now, though perhaps only inside a transaction, are no longer the DbContext's business.</summary>
    public void Saved()
    {
        lock (_lock)
        {
            foreach (var message in _unsaved)
            {
                var entry = db.Entry(message);
                if (entry.State != EntityState.Unchanged)
                    continue;
                entry.State = EntityState.Detached;
                _uncommitted.Add(message);
            }

            _unsaved.RemoveAll(_uncommitted.Contains);
        }
    }

    public (OutboxMessage[] Messages, long InsertedAt) TakeCommitted()
    {
        lock (_lock)
        {
            OutboxMessage[] messages = [.. _uncommitted];
            _uncommitted.Clear();
            return (messages, _insertedAt);
        }
    }

    public int TakeUnsaved()
    {
        lock (_lock)
        {
            var count = _unsaved.Count;
            _unsaved.Clear();
            return count;
        }
    }
}
