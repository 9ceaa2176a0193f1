using Npgsql;

namespace Messaging.Postgres.Inbox;

static class InboxTable
{
    const string InsertSql = "INSERT INTO messaging.inbox (day, message_id, consumer) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";

    /// <summary>False: the consumer has had this message. While another transaction has it, this waits for that one's end.</summary>
    public static async Task<bool> TryInsertAsync(
        NpgsqlConnection connection, DateOnly day, Guid messageId, Guid consumer, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(InsertSql, connection)
        {
            Parameters =
            {
                new NpgsqlParameter<DateOnly> { TypedValue = day },
                new NpgsqlParameter<Guid> { TypedValue = messageId },
                new NpgsqlParameter<Guid> { TypedValue = consumer },
            },
        };
        try
        {
            return await command.ExecuteNonQueryAsync(cancellationToken) == 1;
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.CheckViolation)
        {
            // The row was on its way to the default partition when its day got one of its own.
            throw new TransientException($"The inbox of {day} was just being made", exception);
        }
    }
}
