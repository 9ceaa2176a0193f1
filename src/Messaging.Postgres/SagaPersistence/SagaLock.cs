using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using MassTransit;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Metadata;
using Microsoft.EntityFrameworkCore.Storage;
using Npgsql;

namespace Messaging.Postgres.SagaPersistence;

/// <summary>Row locks on sagas.</summary>
static class SagaLock
{
    // Keyed by model: two contexts may map one class to two tables.
    static readonly ConditionalWeakTable<IModel, ConcurrentDictionary<Type, SagaStatements>> Statements = [];

    const string LockNames = "SELECT count(pg_advisory_xact_lock(hashtextextended(name, 0))::text) FROM unnest($1) AS names (name)";

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

    static SagaStatements StatementsOf<TSaga>(DbContext db)
        where TSaga : class, ISaga =>
        Statements.GetOrCreateValue(db.Model).GetOrAdd(typeof(TSaga), static (_, db) => Statement<TSaga>(db), db);

    /// <summary>
    /// Two first messages of a new saga meet here: there is no row to lock yet. The second waits until the first has committed its row.
    /// </summary>
    /// <returns>Whether any of the sagas is there now.</returns>
    public static async Task<bool> LockAbsentAsync<TSaga>(DbContext db, Guid[] correlationIds, CancellationToken cancellationToken)
        where TSaga : class, ISaga
    {
        string[] names = [.. correlationIds.Select(id => typeof(TSaga).FullName + id).Order(StringComparer.Ordinal)];
        await using var batch = new NpgsqlBatch((NpgsqlConnection)db.Database.GetDbConnection())
        {
            BatchCommands =
            {
                new NpgsqlBatchCommand(LockNames) { Parameters = { new NpgsqlParameter<string[]> { TypedValue = names } } },
                // A statement of its own, and so one that sees what was committed while the lock was waited for.
                new NpgsqlBatchCommand(StatementsOf<TSaga>(db).Exist) { Parameters = { new NpgsqlParameter<Guid[]> { TypedValue = correlationIds } } },
            },
        };
        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        await reader.NextResultAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) && reader.GetBoolean(0);
    }

    static SagaStatements Statement<TSaga>(DbContext db)
    {
        var entity = db.Model.FindEntityType(typeof(TSaga))
            ?? throw new InvalidOperationException($"{db.GetType().Name} does not map the saga {typeof(TSaga).Name}");
        var table = entity.GetTableMappings().Single().Table;
        var key = entity.FindProperty(nameof(ISaga.CorrelationId))?.GetColumnName(StoreObjectIdentifier.Table(table.Name, table.Schema))
            ?? throw new InvalidOperationException($"{typeof(TSaga).Name}.{nameof(ISaga.CorrelationId)} is not mapped");
        var names = db.GetService<ISqlGenerationHelper>();
        // Named, not *: xmin, if a row version maps it, is in no star.
        var columns = string.Join(", ", table.Columns.Select(c => names.DelimitIdentifier(c.Name)));
        var from = $"FROM {names.DelimitIdentifier(table.Name, table.Schema)} WHERE {names.DelimitIdentifier(key)}";
        return new SagaStatements(
            $"SELECT {columns} {from} = {{0}} FOR UPDATE",
            $"SELECT {columns} {from} = ANY ({{0}}) ORDER BY {names.DelimitIdentifier(key)} FOR UPDATE",
            $"SELECT EXISTS (SELECT 1 {from} = ANY ($1))");
    }

    sealed record SagaStatements(string One, string Many, string Exist);
}
