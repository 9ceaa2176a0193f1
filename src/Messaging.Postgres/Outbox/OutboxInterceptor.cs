using System.Data.Common;
using System.Runtime.CompilerServices;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;

namespace Messaging.Postgres.Outbox;

/// <summary>
/// Learns when the messages of a DbContext are committed, by SaveChanges itself or by a transaction of the user's, and hands them on.
/// </summary>
sealed class OutboxInterceptor(OutboxDispatcher dispatcher, TimeProvider clock) : SaveChangesInterceptor, IDbTransactionInterceptor
{
    // The DbContext itself holds nothing of ours, and a pooled one outlives its scope.
    readonly ConditionalWeakTable<DbContext, OutboxBuffer> _buffers = [];

    public OutboxBuffer BufferOf(DbContext db) => _buffers.GetValue(db, db => new OutboxBuffer(db, clock));

    public override InterceptionResult<int> SavingChanges(DbContextEventData eventData, InterceptionResult<int> result)
    {
        Buffer(eventData)?.Saving();
        return result;
    }

    public override ValueTask<InterceptionResult<int>> SavingChangesAsync(
        DbContextEventData eventData, InterceptionResult<int> result, CancellationToken cancellationToken = default)
    {
        Buffer(eventData)?.Saving();
        return new(result);
    }

    public override int SavedChanges(SaveChangesCompletedEventData eventData, int result)
    {
        Saved(eventData);
        return result;
    }

    public override ValueTask<int> SavedChangesAsync(SaveChangesCompletedEventData eventData, int result, CancellationToken cancellationToken = default)
    {
        Saved(eventData);
        return new(result);
    }

    void Saved(DbContextEventData eventData)
    {
        if (Buffer(eventData) is not { } buffer)
            return;
        buffer.Saved();
        if (eventData.Context!.Database.CurrentTransaction is null)
            Dispatch(buffer);
    }

    public void TransactionCommitted(DbTransaction transaction, TransactionEndEventData eventData) => Committed(eventData);

    public Task TransactionCommittedAsync(DbTransaction transaction, TransactionEndEventData eventData, CancellationToken cancellationToken = default)
    {
        Committed(eventData);
        return Task.CompletedTask;
    }

    void Committed(DbContextEventData eventData)
    {
        if (Buffer(eventData) is { } buffer)
            Dispatch(buffer);
    }

    public void TransactionRolledBack(DbTransaction transaction, TransactionEndEventData eventData) => Buffer(eventData)?.TakeCommitted();

    public Task TransactionRolledBackAsync(DbTransaction transaction, TransactionEndEventData eventData, CancellationToken cancellationToken = default)
    {
        Buffer(eventData)?.TakeCommitted();
        return Task.CompletedTask;
    }

    // Whether the server has committed is unknown. If it has, the rows are there for the sweeper.
    public void TransactionFailed(DbTransaction transaction, TransactionErrorEventData eventData) => Buffer(eventData)?.TakeCommitted();

    public Task TransactionFailedAsync(DbTransaction transaction, TransactionErrorEventData eventData, CancellationToken cancellationToken = default)
    {
        Buffer(eventData)?.TakeCommitted();
        return Task.CompletedTask;
    }

    // A transaction disposed of without a commit says nothing, but the next one begins without what it left.
    public DbTransaction TransactionStarted(DbConnection connection, TransactionEndEventData eventData, DbTransaction result)
    {
        Buffer(eventData)?.TakeCommitted();
        return result;
    }

    public ValueTask<DbTransaction> TransactionStartedAsync(
        DbConnection connection, TransactionEndEventData eventData, DbTransaction result, CancellationToken cancellationToken = default)
    {
        Buffer(eventData)?.TakeCommitted();
        return new(result);
    }

    void Dispatch(OutboxBuffer buffer)
    {
        var (messages, insertedAt) = buffer.TakeCommitted();
        if (messages.Length > 0)
            dispatcher.Enqueue(messages, insertedAt);
    }

    OutboxBuffer? Buffer(DbContextEventData eventData) =>
        eventData.Context is { } db && _buffers.TryGetValue(db, out var buffer) ? buffer : null;
}
