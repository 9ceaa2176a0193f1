using System.Data;
using Npgsql;
using NpgsqlTypes;

namespace Messaging.Postgres.Outbox;

/// <summary>The sweeper's statements: rows become its own for a lease, and are then deleted, put off or given back.</summary>
static class OutboxClaims
{
    /// <summary>Bodies claimed at once, in bytes, whatever the number of rows; one row is claimed however large it is.</summary>
    public const long MostBytes = 32 * 1024 * 1024;

    // now(), not clock_timestamp(): an index is of no use to a volatile function.
    const string ClaimSql =
        """
        WITH due AS MATERIALIZED (
            SELECT id, visible_at, octet_length(body) AS bytes FROM messaging.outbox
            WHERE visible_at <= now() AND destination <> ALL ($3) ORDER BY visible_at LIMIT $1 FOR UPDATE SKIP LOCKED),
        chosen AS (
            SELECT id FROM (SELECT id, sum(bytes) OVER (ORDER BY visible_at, id) - bytes AS before FROM due) d WHERE before < $4)
        UPDATE messaging.outbox o SET visible_at = clock_timestamp() + $2
        FROM chosen c WHERE o.id = c.id
        RETURNING o.id, message_id, destination, message_type, content_type, headers, body, sent_at, expires_at, due_at, token_id, group_key, attempts, last_error
        """;

    const string NextDueSql = "SELECT extract(epoch FROM min(visible_at) - clock_timestamp())::float8 FROM messaging.outbox WHERE destination <> ALL ($1)";

    const string PutOffSql =
        """
        UPDATE messaging.outbox o
        SET attempts = attempts + CASE WHEN p.counted THEN 1 ELSE 0 END, last_error = coalesce(p.error, last_error), visible_at = clock_timestamp() + p.delay
        FROM unnest($1, $2, $3, $4) AS p (id, counted, error, delay) WHERE o.id = p.id
        """;

    const string GiveBackSql = "UPDATE messaging.outbox SET visible_at = clock_timestamp() WHERE id = ANY ($1) AND visible_at > now()";

    const string BurySql =
        """
        WITH gone AS (DELETE FROM messaging.outbox WHERE id = $1 RETURNING *)
        INSERT INTO messaging.dead (id, queue, reason, message_id, message_type, content_type, headers, body, attempts, group_key, error, stack)
        SELECT id, destination, 'unsendable', message_id, message_type, content_type, headers, body, attempts + 1, group_key, $2, $3 FROM gone
        """;

    /// <param name="without">Destinations whose rows are left alone.</param>
    public static async Task<List<OutboxMessage>> ClaimAsync(NpgsqlDataSource dataSource, int limit, string[] without, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand(ClaimSql);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = limit });
        command.Parameters.Add(new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.Interval, Value = OutboxLease.Duration });
        command.Parameters.Add(ArrayParameter.Of(NpgsqlDbType.Text, without));
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = MostBytes });
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
    public static async Task<TimeSpan?> NextDueAsync(NpgsqlDataSource dataSource, string[] without, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand(NextDueSql);
        command.Parameters.Add(ArrayParameter.Of(NpgsqlDbType.Text, without));
        return await command.ExecuteScalarAsync(cancellationToken) is double seconds
            ? TimeSpan.FromSeconds(Math.Clamp(seconds, 0, TimeSpan.MaxValue.TotalSeconds / 2))
            : null;
    }

    /// <summary>Deletes what was sent and puts off what was not, in one transaction and one round trip.</summary>
    public static async Task SettleAsync(NpgsqlDataSource dataSource, IReadOnlyCollection<Guid> sent, IReadOnlyCollection<PutOff> putOff, CancellationToken cancellationToken)
    {
        await using var batch = dataSource.CreateBatch();
        if (sent.Count > 0)
            batch.BatchCommands.Add(new NpgsqlBatchCommand(OutboxTable.DeleteSql) { Parameters = { ArrayParameter.Of(NpgsqlDbType.Uuid, sent.ToArray()) } });
        if (putOff.Count > 0)
        {
            batch.BatchCommands.Add(new NpgsqlBatchCommand(PutOffSql)
            {
                Parameters =
                {
                    ArrayParameter.Of(NpgsqlDbType.Uuid, putOff.Select(p => p.Id).ToArray()),
                    ArrayParameter.Of(NpgsqlDbType.Boolean, putOff.Select(p => p.Counted).ToArray()),
                    ArrayParameter.Of(NpgsqlDbType.Text, putOff.Select(p => StorableText.Of(p.Error)).ToArray()),
                    ArrayParameter.Of(NpgsqlDbType.Interval, putOff.Select(p => p.Delay).ToArray()),
                },
            });
        }

        if (batch.BatchCommands.Count > 0)
            await batch.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Ends leases at once, for whoever sweeps next.</summary>
    public static async Task GiveBackAsync(NpgsqlDataSource dataSource, Guid[] ids, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand(GiveBackSql);
        command.Parameters.Add(ArrayParameter.Of(NpgsqlDbType.Uuid, ids));
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <returns>False: it was cancelled meanwhile.</returns>
    public static async Task<bool> BuryAsync(NpgsqlDataSource dataSource, Guid id, Exception exception, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand(BurySql);
        command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = id });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = StorableText.Of($"{exception.GetType().FullName}: {exception.Message}") });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = StorableText.Of(exception.ToString()) });
        return await command.ExecuteNonQueryAsync(cancellationToken) == 1;
    }
}

/// <summary>A row that was not sent and waits.</summary>
/// <param name="Counted">Whether it was a try that failed because of the message.</param>
readonly record struct PutOff(Guid Id, bool Counted, string? Error, TimeSpan Delay);
