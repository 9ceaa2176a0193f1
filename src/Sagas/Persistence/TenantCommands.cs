using System.Data;
using System.Data.Common;
using Microsoft.EntityFrameworkCore.Diagnostics;

namespace Sagas.Persistence;

/// <summary>
/// Tells PostgreSQL in whose name a <see cref="TenantDbContext"/> asks, for one transaction at a time and never for a whole session:
/// a connection that goes back to a pool, ours or one in between, carries nothing over. A query without a transaction is sent behind it in
/// the same round trip, and the two are one transaction.
/// </summary>
sealed class TenantCommands(PlatformRoles roles) : DbCommandInterceptor, IDbTransactionInterceptor
{
    const string RoleParameter = "sagas_role";
    const string TenantParameter = "sagas_tenant";
    const string EnterSql = $"SELECT set_config('role', @{RoleParameter}, true), set_config('sagas.tenant', @{TenantParameter}, true)";

    public DbTransaction TransactionStarted(DbConnection connection, TransactionEndEventData eventData, DbTransaction result)
    {
        using var enter = Enter(connection, eventData, result);
        enter.ExecuteNonQuery();
        return result;
    }

    public async ValueTask<DbTransaction> TransactionStartedAsync(
        DbConnection connection, TransactionEndEventData eventData, DbTransaction result, CancellationToken cancellationToken = default)
    {
        await using var enter = Enter(connection, eventData, result);
        await enter.ExecuteNonQueryAsync(cancellationToken);
        return result;
    }

    public override InterceptionResult<DbDataReader> ReaderExecuting(DbCommand command, CommandEventData eventData, InterceptionResult<DbDataReader> result)
    {
        Prepend(command, eventData);
        return result;
    }

    public override ValueTask<InterceptionResult<DbDataReader>> ReaderExecutingAsync(
        DbCommand command, CommandEventData eventData, InterceptionResult<DbDataReader> result, CancellationToken cancellationToken = default)
    {
        Prepend(command, eventData);
        return new(result);
    }

    public override DbDataReader ReaderExecuted(DbCommand command, CommandExecutedEventData eventData, DbDataReader result)
    {
        if (command.Transaction is null)
            result.NextResult();
        return result;
    }

    public override async ValueTask<DbDataReader> ReaderExecutedAsync(
        DbCommand command, CommandExecutedEventData eventData, DbDataReader result, CancellationToken cancellationToken = default)
    {
        if (command.Transaction is null)
            await result.NextResultAsync(cancellationToken);
        return result;
    }

    public override InterceptionResult<int> NonQueryExecuting(DbCommand command, CommandEventData eventData, InterceptionResult<int> result)
    {
        Prepend(command, eventData);
        return result;
    }

    public override ValueTask<InterceptionResult<int>> NonQueryExecutingAsync(
        DbCommand command, CommandEventData eventData, InterceptionResult<int> result, CancellationToken cancellationToken = default)
    {
        Prepend(command, eventData);
        return new(result);
    }

    // Its answer would be that of the statement before it.
    public override InterceptionResult<object> ScalarExecuting(DbCommand command, CommandEventData eventData, InterceptionResult<object> result) =>
        command.Transaction is null ? throw new NotSupportedException("A scalar outside a transaction cannot say whose rows it asks for.") : result;

    public override ValueTask<InterceptionResult<object>> ScalarExecutingAsync(
        DbCommand command, CommandEventData eventData, InterceptionResult<object> result, CancellationToken cancellationToken = default) =>
        new(ScalarExecuting(command, eventData, result));

    DbCommand Enter(DbConnection connection, DbContextEventData eventData, DbTransaction transaction)
    {
        var command = connection.CreateCommand();
        command.Transaction = transaction;
        command.CommandText = EnterSql;
        AddParameters(command, eventData);
        return command;
    }

    void Prepend(DbCommand command, DbContextEventData eventData)
    {
        if (command.Transaction is not null)
            return;
        command.CommandText = $"{EnterSql};\n{command.CommandText}";
        AddParameters(command, eventData);
    }

    void AddParameters(DbCommand command, DbContextEventData eventData)
    {
        Add(command, RoleParameter, roles.Tenant);
        Add(command, TenantParameter, ((TenantDbContext)eventData.Context!).Tenant);
    }

    static void Add(DbCommand command, string name, string value)
    {
        var parameter = command.CreateParameter();
        (parameter.ParameterName, parameter.DbType, parameter.Value) = (name, DbType.String, value);
        command.Parameters.Add(parameter);
    }
}
