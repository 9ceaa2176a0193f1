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

    public const string DeleteSql = "DELETE FROM messaging.outbox WHERE id = ANY ($1)";

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

    public static async Task<int> FreeAsync(NpgsqlDataSource dataSource, DateTime sentBefore, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand(FreeSql);
        command.Parameters.Add(new NpgsqlParameter<DateTime> { TypedValue = sentBefore });
        return await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
