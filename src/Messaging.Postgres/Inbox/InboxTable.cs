using Npgsql;
using NpgsqlTypes;

namespace Messaging.Postgres.Inbox;

/// <summary>By what a consumer knows a message again.</summary>
readonly record struct InboxKey(DateOnly Day, Guid MessageId, Guid Consumer);

static class InboxTable
{
    const string InsertSql = "INSERT INTO messaging.inbox (day, message_id, consumer) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";

    // In the order of keys, so that two nodes with the same messages wait for each other in one direction only.
    const string InsertManySql =
        """
        INSERT INTO messaging.inbox (day, message_id, consumer)
        SELECT day, message_id, consumer FROM unnest($1, $2, $3) AS u (day, message_id, consumer) ORDER BY message_id
        ON CONFLICT DO NOTHING
        RETURNING day, message_id, consumer
        """;

    /// <summary>False: the consumer has had this message. While another transaction has it, this waits for that one's end.</summary>
    public static async Task<bool> TryInsertAsync(NpgsqlConnection connection, InboxKey key, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(InsertSql, connection)
        {
            Parameters =
            {
                new NpgsqlParameter<DateOnly> { TypedValue = key.Day },
                new NpgsqlParameter<Guid> { TypedValue = key.MessageId },
                new NpgsqlParameter<Guid> { TypedValue = key.Consumer },
            },
        };
        try
        {
            return await command.ExecuteNonQueryAsync(cancellationToken) == 1;
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.CheckViolation)
        {
            // The row was on its way to the default partition when its day got one of its own.
            throw new TransientException($"The inbox of {key.Day} was just being made", exception);
        }
    }

    /// <summary>The keys that are new, each once. No lock is waited for longer than the limit, in this statement and all of the transaction.</summary>
    public static async Task<HashSet<InboxKey>> InsertAsync(
        NpgsqlConnection connection, IReadOnlyList<InboxKey> keys, TimeSpan lockTimeout, CancellationToken cancellationToken)
    {
        await using var batch = new NpgsqlBatch(connection)
        {
            BatchCommands =
            {
                new NpgsqlBatchCommand($"SET LOCAL lock_timeout = {(int)lockTimeout.TotalMilliseconds}"),
                new NpgsqlBatchCommand(InsertManySql)
                {
                    Parameters =
                    {
                        ArrayParameter.Of(NpgsqlDbType.Date, keys.Select(k => k.Day).ToArray()),
                        ArrayParameter.Of(NpgsqlDbType.Uuid, keys.Select(k => k.MessageId).ToArray()),
                        ArrayParameter.Of(NpgsqlDbType.Uuid, keys.Select(k => k.Consumer).ToArray()),
                    },
                },
            },
        };
        var inserted = new HashSet<InboxKey>(keys.Count);
        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            inserted.Add(new InboxKey(reader.GetFieldValue<DateOnly>(0), reader.GetGuid(1), reader.GetGuid(2)));
        return inserted;
    }
}
