using System.Globalization;
using Messaging.Postgres.Outbox;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Messaging.Postgres.Inbox;

/// <summary>Keeps a partition for each of the coming days and drops those of days gone by. Forgetting is a DROP, not a DELETE.</summary>
sealed partial class InboxPartitions(
    NpgsqlDataSource dataSource, IOptions<PostgresMessagingOptions> options, TimeProvider clock, ILogger<InboxPartitions> logger) : BackgroundService
{
    public const int DaysAhead = 8;
    const int LockTries = 5;
    static readonly TimeSpan Interval = TimeSpan.FromHours(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        for (var tries = 0; !stoppingToken.IsCancellationRequested;)
        {
            try
            {
                await MaintainAsync(DateOnly.FromDateTime(clock.GetUtcNow().UtcDateTime), stoppingToken);
                tries = 0;
                await Task.Delay(Interval, clock, stoppingToken);
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                // The default partition takes what has none of its own.
                LogFailed(exception.Message);
                await Pause.AfterOutageAsync(clock, tries++, stoppingToken);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    public async Task MaintainAsync(DateOnly today, CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        // One node at a time: the next finds all done.
        await LockAsync(connection, cancellationToken);
        try
        {
            await MaintainAsync(connection, today, cancellationToken);
        }
        finally
        {
            await UnlockAsync(connection);
        }
    }

    async Task MaintainAsync(NpgsqlConnection connection, DateOnly today, CancellationToken cancellationToken)
    {
        var existing = await ListAsync(connection, cancellationToken);
        for (var day = today; day <= today.AddDays(DaysAhead - 1); day = day.AddDays(1))
        {
            if (!existing.Contains(day))
                await RunAsync(connection, CreateSql(day), cancellationToken);
        }

        var oldest = today.AddDays(-options.Value.InboxDays);
        foreach (var day in existing.Where(d => d < oldest))
        {
            await RunAsync(connection, $"DROP TABLE IF EXISTS messaging.{Name(day)}", cancellationToken);
            LogDropped(day);
        }

        await RunAsync(connection, $"DELETE FROM messaging.inbox_default WHERE day < '{oldest:yyyy-MM-dd}'", cancellationToken);
    }

    // Attached rather than created in place: that would lock out every consumer. Rows that came before their partition move into it;
    // none may come in between.
    static string CreateSql(DateOnly day) =>
        $"""
        LOCK TABLE messaging.inbox_default IN ACCESS EXCLUSIVE MODE;
        CREATE TABLE IF NOT EXISTS messaging.{Name(day)} (LIKE messaging.inbox INCLUDING ALL);
        WITH early AS (DELETE FROM messaging.inbox_default WHERE day = '{day:yyyy-MM-dd}' RETURNING *)
        INSERT INTO messaging.{Name(day)} SELECT * FROM early;
        ALTER TABLE messaging.inbox ATTACH PARTITION messaging.{Name(day)} FOR VALUES FROM ('{day:yyyy-MM-dd}') TO ('{day.AddDays(1):yyyy-MM-dd}');
        """;

    static string Name(DateOnly day) => "inbox_" + day.ToString("yyyyMMdd", CultureInfo.InvariantCulture);

    static async Task<HashSet<DateOnly>> ListAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'messaging.inbox'::regclass", connection);
        var days = new HashSet<DateOnly>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            if (DateOnly.TryParseExact(reader.GetString(0)["inbox_".Length..], "yyyyMMdd", CultureInfo.InvariantCulture, DateTimeStyles.None, out var day))
                days.Add(day);
        }

        return days;
    }

    static async Task LockAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("SELECT pg_advisory_lock(hashtextextended('messaging.inbox', 0))", connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    // A broken connection has lost its lock already.
    static async Task UnlockAsync(NpgsqlConnection connection)
    {
        if (connection.FullState != System.Data.ConnectionState.Open)
            return;
        await using var command = new NpgsqlCommand("SELECT pg_advisory_unlock(hashtextextended('messaging.inbox', 0))", connection);
        await command.ExecuteNonQueryAsync(CancellationToken.None);
    }

    // Never long in a queue for a table lock, for behind it every consumer would wait too: rather let them pass and queue again.
    async Task RunAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        for (var tries = 1; ; tries++)
        {
            try
            {
                await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
                await using var command = new NpgsqlCommand("SET LOCAL lock_timeout = '2s'; " + sql, connection, transaction);
                await command.ExecuteNonQueryAsync(cancellationToken);
                await transaction.CommitAsync(cancellationToken);
                return;
            }
            catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.LockNotAvailable && tries < LockTries)
            {
                await Pause.AfterOutageAsync(clock, tries, cancellationToken);
            }
        }
    }

    [LoggerMessage(LogLevel.Information, "Dropped the inbox of {Day}")]
    partial void LogDropped(DateOnly day);

    [LoggerMessage(LogLevel.Warning, "The inbox's partitions could not be maintained: {Reason}")]
    partial void LogFailed(string reason);
}
