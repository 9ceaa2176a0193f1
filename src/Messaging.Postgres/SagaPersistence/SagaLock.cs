using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using MassTransit;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Metadata;
using Microsoft.EntityFrameworkCore.Storage;

namespace Messaging.Postgres.SagaPersistence;

/// <summary>Row locks on sagas.</summary>
static class SagaLock
{
    // Keyed by model: two contexts may map one class to two tables.
    static readonly ConditionalWeakTable<IModel, ConcurrentDictionary<Type, (string One, string Many)>> Statements = [];

    public static async Task<TSaga?> LoadAsync<TSaga>(DbContext db, Guid correlationId, CancellationToken cancellationToken)
        where TSaga : class, ISaga
    {
        var found = await db.Set<TSaga>().FromSqlRaw(StatementsOf<TSaga>(db).One, correlationId).AsTracking().ToListAsync(cancellationToken);
        return found.SingleOrDefault();
    }

    /// <summary>Tracked by nobody. Locked in the order of their ids, so that two nodes wait for each other in one direction only.</summary>
    public static Task<List<TSaga>> LoadManyAsync<TSaga>(DbContext db, Guid[] correlationIds, CancellationToken cancellationToken)
        where TSaga : class, ISaga =>
        db.Set<TSaga>().FromSqlRaw(StatementsOf<TSaga>(db).Many, correlationIds).AsNoTracking().ToListAsync(cancellationToken);

    static (string One, string Many) StatementsOf<TSaga>(DbContext db)
        where TSaga : class, ISaga =>
        Statements.GetOrCreateValue(db.Model).GetOrAdd(typeof(TSaga), static (_, db) => Statement<TSaga>(db), db);

    /// <summary>
    /// Two first messages of a new saga meet here: there is no row to lock yet. The second waits until the first has committed its row.
    /// </summary>
    public static Task LockAbsentAsync<TSaga>(DbContext db, Guid correlationId, CancellationToken cancellationToken) =>
        db.Database.ExecuteSqlAsync($"SELECT pg_advisory_xact_lock(hashtextextended({typeof(TSaga).FullName + correlationId}, 0))", cancellationToken);

    /// <inheritdoc cref="LockAbsentAsync{TSaga}(DbContext, Guid, CancellationToken)"/>
    public static Task LockAbsentAsync<TSaga>(DbContext db, IEnumerable<Guid> correlationIds, CancellationToken cancellationToken)
    {
        string[] names = [.. correlationIds.Select(id => typeof(TSaga).FullName + id).Order(StringComparer.Ordinal)];
        return db.Database.ExecuteSqlAsync($"SELECT count(pg_advisory_xact_lock(hashtextextended(name, 0))::text) FROM unnest({names}) AS names (name)", cancellationToken);
    }

    static (string One, string Many) Statement<TSaga>(DbContext db)
    {
        var entity = db.Model.FindEntityType(typeof(TSaga))
            ?? throw new InvalidOperationException($"{db.GetType().Name} does not map the saga {typeof(TSaga).Name}");
        var table = entity.GetTableMappings().Single().Table;
        var key = entity.FindProperty(nameof(ISaga.CorrelationId))?.GetColumnName(StoreObjectIdentifier.Table(table.Name, table.Schema))
            ?? throw new InvalidOperationException($"{typeof(TSaga).Name}.{nameof(ISaga.CorrelationId)} is not mapped");
        var names = db.GetService<ISqlGenerationHelper>();
        // Named, not *: xmin, if a row version maps it, is in no star.
        var columns = string.Join(", ", table.Columns.Select(c => names.DelimitIdentifier(c.Name)));
        var select = $"SELECT {columns} FROM {names.DelimitIdentifier(table.Name, table.Schema)} WHERE {names.DelimitIdentifier(key)}";
        return ($"{select} = {{0}} FOR UPDATE", $"{select} = ANY ({{0}}) ORDER BY {names.DelimitIdentifier(key)} FOR UPDATE");
    }
}
