using Messaging.Postgres.Outbox;
using Npgsql;

namespace Messaging.Postgres;

/// <summary>For a start after which nothing can be in flight, as on the in-memory bus.</summary>
public static class OutboxRecovery
{
    /// <summary>Frees unsent messages from the leases of an earlier run, so that they go at once. Schedules keep their time.</summary>
    /// <remarks>The sweeper does this by itself before its first pass; see <see cref="PostgresMessagingOptions.FreeLeasesAtStart"/>.</remarks>
    /// <returns>How many were freed.</returns>
    public static Task<int> FreeLeasesAsync(NpgsqlDataSource dataSource, CancellationToken cancellationToken) =>
        OutboxTable.FreeAsync(dataSource, DateTime.MaxValue, cancellationToken);
}
