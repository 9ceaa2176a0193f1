using MassTransit;
using MassTransit.Context;
using MassTransit.Logging;
using MassTransit.Middleware;
using MassTransit.Saga;
using Messaging.Postgres.Outbox;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Messaging.Postgres.SagaPersistence;

sealed class PostgresSagaRepositoryContext<TSaga, TMessage>(
    DbContext db, ConsumeContext<TMessage> context, ISagaConsumeContextFactory<DbContext, TSaga> contexts)
    : ConsumeContextScope<TMessage>(context, db), SagaRepositoryContext<TSaga, TMessage>
    where TSaga : class, ISaga
    where TMessage : class
{
    readonly ConsumeContext<TMessage> _context = context;
    readonly GroupMember? _member = context.TryGetPayload(out IOutboxTransaction? transaction) ? transaction.Member : null;
    Guid? _claimed;

    public async Task<SagaConsumeContext<TSaga, TMessage>> Add(TSaga instance)
    {
        var (saga, mode) = await ClaimAsync(instance) is { } rival ? (rival, SagaConsumeContextMode.Load) : (instance, SagaConsumeContextMode.Add);
        return await contexts.CreateSagaConsumeContext(db, _context, saga, mode);
    }

    public async Task<SagaConsumeContext<TSaga, TMessage>> Insert(TSaga instance)
    {
        if (await ClaimAsync(instance) is { } rival)
            return await contexts.CreateSagaConsumeContext(db, _context, rival, SagaConsumeContextMode.Load);

        db.Set<TSaga>().Add(instance);
        await SaveAsync();
        _context.LogInsert<TSaga, TMessage>(instance.CorrelationId);
        return await contexts.CreateSagaConsumeContext(db, _context, instance, SagaConsumeContextMode.Insert);
    }

    /// <summary>The saga's place is ours until the commit, or a message that was faster has made the saga.</summary>
    async Task<TSaga?> ClaimAsync(TSaga instance)
    {
        if (_claimed == instance.CorrelationId)
            return null;
        return await SagaLock.LockAbsentAsync<TSaga>(db, [instance.CorrelationId], CancellationToken)
            ? await SagaLock.LoadAsync<TSaga>(db, instance.CorrelationId, CancellationToken)
            : null;
    }

    public async Task<SagaConsumeContext<TSaga, TMessage>> Load(Guid correlationId)
    {
        var saga = _member is null
            ? await SagaLock.LoadAsync<TSaga>(db, correlationId, CancellationToken)
            : await _member.LoadAsync<TSaga>(correlationId);
        if (saga is null && _member is not null)
            _claimed = correlationId;
        // MassTransit's own repositories say "none" this way too.
        return saga is null ? null! : await contexts.CreateSagaConsumeContext(db, _context, saga, SagaConsumeContextMode.Load);
    }

    public Task Save(SagaConsumeContext<TSaga> context)
    {
        if (db.Entry(context.Saga).State == EntityState.Detached)
            db.Set<TSaga>().Add(context.Saga);
        return SaveAsync();
    }

    public Task Update(SagaConsumeContext<TSaga> context) => SaveAsync();

    public Task Delete(SagaConsumeContext<TSaga> context)
    {
        db.Set<TSaga>().Remove(context.Saga);
        return SaveAsync();
    }

    // Tracked: a rival's saga that this message found instead of making its own, and then completed.
    public Task Discard(SagaConsumeContext<TSaga> context) =>
        context.IsCompleted && db.Entry(context.Saga).State != EntityState.Detached ? Delete(context) : Task.CompletedTask;

    public Task Undo(SagaConsumeContext<TSaga> context)
    {
        db.Entry(context.Saga).State = EntityState.Unchanged;
        return Task.CompletedTask;
    }

    public Task<SagaConsumeContext<TSaga, T>> CreateSagaConsumeContext<T>(ConsumeContext<T> consumeContext, TSaga instance, SagaConsumeContextMode mode)
        where T : class => contexts.CreateSagaConsumeContext(db, consumeContext, instance, mode);

    async Task SaveAsync()
    {
        // Of those that were read together, the changes are saved together.
        if (_member?.Request is not null)
            return;
        try
        {
            await db.SaveChangesAsync(CancellationToken);
        }
        catch (DbUpdateException exception) when (exception.InnerException is PostgresException { SqlState: PostgresErrorCodes.UniqueViolation })
        {
            // Two first messages that a query correlates, under different ids: the next try finds the other's saga.
            throw new ConcurrencyException("Another message made it meanwhile", typeof(TSaga), _context.CorrelationId ?? default, exception);
        }
    }
}

/// <summary>Reads without locks, for whoever asks the repository outside a message.</summary>
sealed class SagaReadContext<TSaga>(DbContext db, CancellationToken cancellationToken)
    : BasePipeContext(cancellationToken), LoadSagaRepositoryContext<TSaga>, QuerySagaRepositoryContext<TSaga>
    where TSaga : class, ISaga
{
    public async Task<TSaga> Load(Guid correlationId) =>
        (await db.Set<TSaga>().AsNoTracking().SingleOrDefaultAsync(s => s.CorrelationId == correlationId, CancellationToken))!;

    public async Task<SagaRepositoryQueryContext<TSaga>> Query(ISagaQuery<TSaga> query, CancellationToken cancellationToken)
    {
        var ids = await db.Set<TSaga>().AsNoTracking().Where(query.FilterExpression).Select(s => s.CorrelationId).ToListAsync(cancellationToken);
        return new DefaultSagaRepositoryQueryContext<TSaga>(this, ids);
    }
}
