using MassTransit;
using Microsoft.EntityFrameworkCore;

namespace Messaging.Postgres.SagaPersistence;

/// <summary>A message's wish for its saga, granted together with others'.</summary>
abstract class SagaRequest(Guid correlationId)
{
    public Guid CorrelationId => correlationId;

    /// <summary>Whether its row is locked, or its place where there is none.</summary>
    public bool IsLoaded { get; protected set; }

    public abstract bool Is(object entity);

    protected abstract Task LoadTogetherAsync(IReadOnlyList<SagaRequest> requests, CancellationToken cancellationToken);

    public abstract Task LoadAloneAsync(CancellationToken cancellationToken);

    /// <summary>Grants the first wish for each saga. Whoever wants the same saga later must see what the first does with it.</summary>
    public static async Task LoadAsync(IReadOnlyList<SagaRequest> requests, CancellationToken cancellationToken)
    {
        foreach (var kind in requests.DistinctBy(r => (r.GetType(), r.CorrelationId)).GroupBy(r => r.GetType()))
            await kind.First().LoadTogetherAsync([.. kind], cancellationToken);
    }
}

sealed class SagaRequest<TSaga>(DbContext db, Guid correlationId) : SagaRequest(correlationId)
    where TSaga : class, ISaga
{
    public TSaga? Saga { get; private set; }

    public override bool Is(object entity) => entity is TSaga saga && saga.CorrelationId == CorrelationId;

    public override async Task LoadAloneAsync(CancellationToken cancellationToken)
    {
        Saga = await SagaLock.LoadAsync<TSaga>(db, CorrelationId, cancellationToken);
        if (Saga is null && await SagaLock.LockAbsentAsync<TSaga>(db, [CorrelationId], cancellationToken))
            Saga = await SagaLock.LoadAsync<TSaga>(db, CorrelationId, cancellationToken);

        IsLoaded = true;
    }

    protected override async Task LoadTogetherAsync(IReadOnlyList<SagaRequest> requests, CancellationToken cancellationToken)
    {
        if (!SagaRows.ArePlain<TSaga>(db))
            return;

        var missing = requests.Cast<SagaRequest<TSaga>>().ToDictionary(r => r.CorrelationId);
        await FindAsync(missing, cancellationToken);
        if (missing.Count > 0 && await SagaLock.LockAbsentAsync<TSaga>(db, [.. missing.Keys], cancellationToken))
            await FindAsync(missing, cancellationToken);

        foreach (var request in requests)
            ((SagaRequest<TSaga>)request).IsLoaded = true;
    }

    async Task FindAsync(Dictionary<Guid, SagaRequest<TSaga>> missing, CancellationToken cancellationToken)
    {
        foreach (var saga in await SagaLock.LoadManyAsync<TSaga>(db, [.. missing.Keys], cancellationToken))
        {
            missing.Remove(saga.CorrelationId, out var request);
            request!.Grant(saga);
        }
    }

    void Grant(TSaga saga)
    {
        db.Attach(saga);
        Saga = saga;
    }
}
