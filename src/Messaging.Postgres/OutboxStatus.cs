using Npgsql;

namespace Messaging.Postgres;

/// <summary>How the outbox stands.</summary>
/// <param name="Unsent">All rows.</param>
/// <param name="Due">Of them, those that wait for no schedule: they should be gone in moments.</param>
/// <param name="Scheduled">Of them, those not due yet.</param>
/// <param name="Dead">Rows of the dead table.</param>
/// <param name="OldestDueAge">How long the oldest due row has waited; zero when there is none.</param>
public sealed record OutboxStatus(long Unsent, long Due, long Scheduled, long Dead, TimeSpan OldestDueAge)
{
    public static async Task<OutboxStatus> ReadAsync(NpgsqlDataSource dataSource, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand(
            """
            SELECT count(*),
                   count(*) FILTER (WHERE due_at IS NULL OR due_at <= now()),
                   (SELECT count(*) FROM messaging.dead),
                   coalesce(extract(epoch FROM now() - min(coalesce(due_at, sent_at)) FILTER (WHERE due_at IS NULL OR due_at <= now())), 0)::float8
            FROM messaging.outbox
            """);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        var (unsent, due) = (reader.GetInt64(0), reader.GetInt64(1));
        return new OutboxStatus(unsent, due, unsent - due, reader.GetInt64(2), TimeSpan.FromSeconds(Math.Max(0, reader.GetDouble(3))));
    }
}
