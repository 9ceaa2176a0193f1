using System.Data;
using MassTransit;
using MassTransit.Saga;
using Messaging.Postgres.Outbox;
using Microsoft.EntityFrameworkCore;

namespace Messaging.Postgres.SagaPersistence;

/// <summary>Opens the saga's transaction, unless the outbox has one open around the message.</summary>
sealed class PostgresSagaRepositoryContextFactory<TDbContext, TSaga>(TDbContext db, ISagaConsumeContextFactory<DbContext, TSaga> contexts)
    : ISagaRepositoryContextFactory<TSaga>, IQuerySagaRepositoryContextFactory<TSaga>, ILoadSagaRepositoryContextFactory<TSaga>
    where TDbContext : DbContext
    where TSaga : class, ISaga
{
    public Task Send<T>(ConsumeContext<T> context, IPipe<SagaRepositoryContext<TSaga, T>> next)
        where T : class =>
        InTransactionAsync(context, () => next.Send(new PostgresSagaRepositoryContext<TSaga, T>(db, context, contexts)));

    public Task SendQuery<T>(ConsumeContext<T> context, ISagaQuery<TSaga> query, IPipe<SagaRepositoryQueryContext<TSaga, T>> next)
        where T : class =>
        InTransactionAsync(context, async () =>
        {
            var repository = new PostgresSagaRepositoryContext<TSaga, T>(db, context, contexts);
            var sagas = await LockAsync(query, context.CancellationToken);
            await next.Send(new LoadedSagaRepositoryQueryContext<TSaga, T>(repository, sagas));
        });

    /// <summary>Each row is locked by its key, in the order of keys, and asked again: it may have changed while its lock was waited for.</summary>
    async Task<List<TSaga>> LockAsync(ISagaQuery<TSaga> query, CancellationToken cancellationToken)
    {
        var ids = await db.Set<TSaga>().AsNoTracking().Where(query.FilterExpression)
            .Select(s => s.CorrelationId).OrderBy(id => id).ToListAsync(cancellationToken);
        var matches = query.GetFilter();
        var sagas = new List<TSaga>(ids.Count);
        foreach (var id in ids)
        {
            if (await SagaLock.LoadAsync<TSaga>(db, id, cancellationToken) is { } saga && matches(saga))
                sagas.Add(saga);
        }

        return sagas;
    }

    async Task InTransactionAsync<T>(ConsumeContext<T> context, Func<Task> work)
        where T : class
    {
        if (context.TryGetPayload<IOutboxTransaction>(out _))
        {
            await work();
            return;
        }

        // READ COMMITTED is enough under row locks, and has no serialization failures.
        await using var transaction = await db.Database.BeginTransactionAsync(IsolationLevel.ReadCommitted, context.CancellationToken);
        await work();
        await transaction.CommitAsync(context.CancellationToken);
    }

    public Task<T> Execute<T>(Func<LoadSagaRepositoryContext<TSaga>, Task<T>> asyncMethod, CancellationToken cancellationToken = default)
        where T : class => asyncMethod(new SagaReadContext<TSaga>(db, cancellationToken));

    public Task<T> Execute<T>(Func<QuerySagaRepositoryContext<TSaga>, Task<T>> asyncMethod, CancellationToken cancellationToken = default)
        where T : class => asyncMethod(new SagaReadContext<TSaga>(db, cancellationToken));

    public void Probe(ProbeContext context) => context.Add("persistence", "postgres");
}
