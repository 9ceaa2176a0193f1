using Npgsql;
using NpgsqlTypes;

namespace Messaging.Postgres.Outbox;

/// <summary>The statements on <c>messaging.outbox</c> that do not go through EF Core.</summary>
static class OutboxTable
{
    static readonly (string Name, NpgsqlDbType Type, Func<OutboxMessage, object?> Value)[] Columns =
    [
        ("id", NpgsqlDbType.Uuid, m => m.Id),
        ("message_id", NpgsqlDbType.Uuid, m => m.MessageId),
        ("destination", NpgsqlDbType.Text, m => m.Destination),
        ("message_type", NpgsqlDbType.Text, m => m.MessageType),
        ("content_type", NpgsqlDbType.Text, m => m.ContentType),
        ("headers", NpgsqlDbType.Text, m => m.Headers),
        ("body", NpgsqlDbType.Bytea, m => m.Body),
        ("sent_at", NpgsqlDbType.TimestampTz, m => m.SentAt),
        ("expires_at", NpgsqlDbType.TimestampTz, m => m.ExpiresAt),
        ("due_at", NpgsqlDbType.TimestampTz, m => m.DueAt),
        ("token_id", NpgsqlDbType.Uuid, m => m.TokenId),
        ("group_key", NpgsqlDbType.Text, m => m.GroupKey),
    ];

    // Rows of VALUES cost the server a fraction of what unnest of twelve arrays does. Few sizes, so that each text is soon prepared.
    static readonly (int Rows, string Sql)[] Inserts = [.. new[] { 16, 8, 4, 2, 1 }.Select(rows => (rows, InsertSql(rows)))];

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
            batch.BatchCommands.Add(new NpgsqlBatchCommand(DeleteTokensSql) { Parameters = { ArrayParameter.Of(NpgsqlDbType.Uuid, cancelled.ToArray()) } });
        AddInserts(batch, messages);
        await batch.ExecuteNonQueryAsync(cancellationToken);
    }

    static void AddInserts(NpgsqlBatch batch, IReadOnlyList<OutboxMessage> messages)
    {
        var done = 0;
        foreach (var (rows, sql) in Inserts)
        {
            for (; messages.Count - done >= rows; done += rows)
            {
                var command = new NpgsqlBatchCommand(sql);
                for (var i = done; i < done + rows; i++)
                    AddRow(command.Parameters, messages[i]);
                batch.BatchCommands.Add(command);
            }
        }
    }

    static string InsertSql(int rows)
    {
        var due = Array.FindIndex(Columns, c => c.Name == "due_at");
        var values = Enumerable.Range(0, rows).Select(row => row * Columns.Length).Select(before =>
            $"({string.Join(", ", Enumerable.Range(before + 1, Columns.Length).Select(n => $"${n}"))}, "
            + $"coalesce(${before + due + 1}, clock_timestamp() + interval '{OutboxLease.Duration.TotalSeconds:0} seconds'))");
        return $"INSERT INTO messaging.outbox ({string.Join(", ", Columns.Select(c => c.Name))}, visible_at) VALUES {string.Join(", ", values)}";
    }

    static void AddRow(NpgsqlParameterCollection parameters, OutboxMessage message)
    {
        foreach (var (_, type, value) in Columns)
            parameters.Add(new NpgsqlParameter { NpgsqlDbType = type, Value = value(message) ?? DBNull.Value });
    }

    public static async Task DeleteAsync(NpgsqlDataSource dataSource, Guid[] ids, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand(DeleteSql);
        command.Parameters.Add(ArrayParameter.Of(NpgsqlDbType.Uuid, ids));
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    public static async Task<int> FreeAsync(NpgsqlDataSource dataSource, DateTime sentBefore, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand(FreeSql);
        command.Parameters.Add(new NpgsqlParameter<DateTime> { TypedValue = sentBefore });
        return await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
