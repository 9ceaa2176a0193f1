using System.Text;
using Npgsql;
using NpgsqlTypes;

namespace Messaging.Postgres.Outbox;

/// <summary>The statements on <c>messaging.outbox</c> that do not go through EF Core.</summary>
static class OutboxTable
{
    const int ColumnCount = 12;

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
            batch.BatchCommands.Add(new NpgsqlBatchCommand(DeleteTokensSql) { Parameters = { Array(NpgsqlDbType.Uuid, cancelled.ToArray()) } });
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
        var text = new StringBuilder(
            "INSERT INTO messaging.outbox (id, message_id, destination, message_type, content_type, headers, body, sent_at, expires_at, due_at, token_id, group_key, visible_at) VALUES ");
        for (var row = 0; row < rows; row++)
        {
            var first = (row * ColumnCount) + 1;
            var values = string.Join(", ", Enumerable.Range(first, ColumnCount).Select(n => $"${n}"));
            text.Append(row == 0 ? "" : ", ")
                .Append($"({values}, coalesce(${first + 9}, clock_timestamp() + interval '{OutboxLease.Duration.TotalSeconds:0} seconds'))");
        }

        return text.ToString();
    }

    static void AddRow(NpgsqlParameterCollection row, OutboxMessage message)
    {
        Add(NpgsqlDbType.Uuid, message.Id);
        Add(NpgsqlDbType.Uuid, message.MessageId);
        Add(NpgsqlDbType.Text, message.Destination);
        Add(NpgsqlDbType.Text, message.MessageType);
        Add(NpgsqlDbType.Text, message.ContentType);
        Add(NpgsqlDbType.Text, message.Headers);
        Add(NpgsqlDbType.Bytea, message.Body);
        Add(NpgsqlDbType.TimestampTz, message.SentAt);
        Add(NpgsqlDbType.TimestampTz, message.ExpiresAt);
        Add(NpgsqlDbType.TimestampTz, message.DueAt);
        Add(NpgsqlDbType.Uuid, message.TokenId);
        Add(NpgsqlDbType.Text, message.GroupKey);

        void Add(NpgsqlDbType type, object? value) => row.Add(new NpgsqlParameter { NpgsqlDbType = type, Value = value ?? DBNull.Value });
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
