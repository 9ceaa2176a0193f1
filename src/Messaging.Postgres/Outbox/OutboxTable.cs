using System.Data;
using Npgsql;
using NpgsqlTypes;

namespace Messaging.Postgres.Outbox;

/// <summary>The statements on <c>messaging.outbox</c> that do not go through EF Core.</summary>
static class OutboxTable
{
    const string Columns = "id, message_id, destination, message_type, content_type, headers, body, sent_at, expires_at, due_at, token_id, group_key";

    const string InsertSql =
        $"""
        INSERT INTO messaging.outbox ({Columns}, visible_at)
        SELECT {Columns}, coalesce(due_at, clock_timestamp() + $13)
        FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) AS u ({Columns})
        """;

    const string DeleteTokensSql = "DELETE FROM messaging.outbox WHERE token_id = ANY ($1)";

    const string DeleteSql = "DELETE FROM messaging.outbox WHERE id = ANY ($1)";

    // now(), not clock_timestamp(): an index is of no use to a volatile function.
    const string ClaimSql =
        $"""
        WITH due AS MATERIALIZED (
            SELECT id FROM messaging.outbox WHERE visible_at <= now() ORDER BY visible_at LIMIT $1 FOR UPDATE SKIP LOCKED)
        UPDATE messaging.outbox o SET visible_at = clock_timestamp() + $2
        FROM due WHERE o.id = due.id
        RETURNING o.id, message_id, destination, message_type, content_type, headers, body, sent_at, expires_at, due_at, token_id, group_key, attempts, last_error
        """;

    const string NextDueSql = "SELECT extract(epoch FROM min(visible_at) - clock_timestamp())::float8 FROM messaging.outbox";

    const string RetryLaterSql =
        "UPDATE messaging.outbox SET attempts = attempts + $2, last_error = coalesce($3, last_error), visible_at = clock_timestamp() + $4 WHERE id = $1";

    const string BurySql =
        """
        WITH gone AS (DELETE FROM messaging.outbox WHERE id = $1 RETURNING *)
        INSERT INTO messaging.dead (id, queue, reason, message_id, message_type, content_type, headers, body, attempts, group_key, error, stack)
        SELECT id, destination, 'unsendable', message_id, message_type, content_type, headers, body, attempts + 1, group_key, $2, $3 FROM gone
        """;

    const string FreeSql =
        """
        UPDATE messaging.outbox SET visible_at = clock_timestamp()
        WHERE visible_at > now() AND (due_at IS NULL OR due_at <= now()) AND sent_at < $1
        """;

    /// <summary>Cancels schedules and adds rows, in the caller's transaction and one round trip.</summary>
    public static async Task WriteAsync(
        NpgsqlConnection connection, IReadOnlyCollection<Guid> cancelled, IReadOnlyList<OutboxMessage> messages, CancellationToken cancellationToken)
    {
        if (cancelled.Count == 0 && messages.Count == 0)
            return;

        await using var batch = new NpgsqlBatch(connection);
        if (cancelled.Count > 0)
            batch.BatchCommands.Add(new NpgsqlBatchCommand(DeleteTokensSql) { Parameters = { Array(NpgsqlDbType.Uuid, cancelled.ToArray()) } });
        if (messages.Count > 0)
            batch.BatchCommands.Add(Insert(messages));
        await batch.ExecuteNonQueryAsync(cancellationToken);
    }

    static NpgsqlBatchCommand Insert(IReadOnlyList<OutboxMessage> messages) => new(InsertSql)
    {
        Parameters =
        {
            Column(NpgsqlDbType.Uuid, messages, m => m.Id),
            Column(NpgsqlDbType.Uuid, messages, m => m.MessageId),
            Column(NpgsqlDbType.Text, messages, m => m.Destination),
            Column(NpgsqlDbType.Text, messages, m => m.MessageType),
            Column(NpgsqlDbType.Text, messages, m => m.ContentType),
            Column(NpgsqlDbType.Text, messages, m => m.Headers),
            Column(NpgsqlDbType.Bytea, messages, m => m.Body),
            Column(NpgsqlDbType.TimestampTz, messages, m => m.SentAt),
            Column(NpgsqlDbType.TimestampTz, messages, m => m.ExpiresAt),
            Column(NpgsqlDbType.TimestampTz, messages, m => m.DueAt),
            Column(NpgsqlDbType.Uuid, messages, m => m.TokenId),
            Column(NpgsqlDbType.Text, messages, m => m.GroupKey),
            new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.Interval, Value = OutboxLease.Duration },
        },
    };

    static NpgsqlParameter Column<T>(NpgsqlDbType type, IReadOnlyList<OutboxMessage> messages, Func<OutboxMessage, T> value)
    {
        var values = new T[messages.Count];
        for (var i = 0; i < values.Length; i++)
            values[i] = value(messages[i]);
        return Array(type, values);
    }

    static NpgsqlParameter Array<T>(NpgsqlDbType type, T[] values) => new() { NpgsqlDbType = NpgsqlDbType.Array | type, Value = values };

    public static async Task DeleteAsync(NpgsqlDataSource dataSource, Guid[] ids, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand(DeleteSql);
        command.Parameters.Add(Array(NpgsqlDbType.Uuid, ids));
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    public static async Task<List<OutboxMessage>> ClaimAsync(NpgsqlDataSource dataSource, int limit, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand(ClaimSql);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = limit });
        command.Parameters.Add(new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.Interval, Value = OutboxLease.Duration });
        var messages = new List<OutboxMessage>();
        await using var reader = await command.ExecuteReaderAsync(CommandBehavior.SequentialAccess, cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            messages.Add(await ReadAsync(reader, cancellationToken));
        // RETURNING promises no order; ids are made in the order of sending.
        messages.Sort(static (a, b) => string.CompareOrdinal(a.Id.ToString("N"), b.Id.ToString("N")));
        return messages;
    }

    static async Task<OutboxMessage> ReadAsync(NpgsqlDataReader reader, CancellationToken cancellationToken) => new()
    {
        Id = reader.GetGuid(0),
        MessageId = reader.GetGuid(1),
        Destination = reader.GetString(2),
        MessageType = reader.GetString(3),
        ContentType = reader.GetString(4),
        Headers = await reader.IsDBNullAsync(5, cancellationToken) ? null : reader.GetString(5),
        Body = await reader.GetFieldValueAsync<byte[]>(6, cancellationToken),
        SentAt = reader.GetDateTime(7),
        ExpiresAt = await reader.IsDBNullAsync(8, cancellationToken) ? null : reader.GetDateTime(8),
        DueAt = await reader.IsDBNullAsync(9, cancellationToken) ? null : reader.GetDateTime(9),
        TokenId = await reader.IsDBNullAsync(10, cancellationToken) ? null : reader.GetGuid(10),
        GroupKey = await reader.IsDBNullAsync(11, cancellationToken) ? null : reader.GetString(11),
        Attempts = reader.GetInt32(12),
        LastError = await reader.IsDBNullAsync(13, cancellationToken) ? null : reader.GetString(13),
    };

    /// <summary>Time until some row becomes visible, by the server's clock; null when there is none.</summary>
    public static async Task<TimeSpan?> NextDueAsync(NpgsqlDataSource dataSource, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand(NextDueSql);
        return await command.ExecuteScalarAsync(cancellationToken) is double seconds
            ? TimeSpan.FromSeconds(Math.Clamp(seconds, 0, TimeSpan.MaxValue.TotalSeconds / 2))
            : null;
    }

    /// <param name="counted">Whether this was a try that failed because of the message.</param>
    public static async Task RetryLaterAsync(
        NpgsqlDataSource dataSource, Guid id, bool counted, string? error, TimeSpan delay, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand(RetryLaterSql);
        command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = id });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = counted ? 1 : 0 });
        command.Parameters.Add(new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.Text, Value = (object?)error ?? DBNull.Value });
        command.Parameters.Add(new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.Interval, Value = delay });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    public static async Task BuryAsync(NpgsqlDataSource dataSource, Guid id, Exception exception, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand(BurySql);
        command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = id });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = $"{exception.GetType().FullName}: {exception.Message}" });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = exception.ToString() });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    public static async Task<int> FreeAsync(NpgsqlDataSource dataSource, DateTime sentBefore, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand(FreeSql);
        command.Parameters.Add(new NpgsqlParameter<DateTime> { TypedValue = sentBefore });
        return await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
