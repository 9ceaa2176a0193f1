using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Messaging.Postgres.Outbox;

/// <summary>
/// Tells the sweepers of other nodes that a row is due which this node does not send itself, and hears them. It is a NOTIFY of its own,
/// never one inside a transaction that does something else: those would queue for one lock when they commit. Lost notices cost a poll.
/// </summary>
sealed partial class OutboxNotices(
    NpgsqlDataSource dataSource, OutboxWakeUp wakeUp, IOptions<PostgresMessagingOptions> options, TimeProvider clock, ILogger<OutboxNotices> logger)
    : BackgroundService
{
    public const string ListenerName = "messaging-listener";
    const string Channel = "messaging_outbox";
    static readonly TimeSpan Gathering = TimeSpan.FromMilliseconds(20);

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(
        options.Value is { Sweep: true, Listen: true } ? ListenAsync(stoppingToken) : Task.CompletedTask, TellAsync(stoppingToken));

    public static async Task TellAsync(NpgsqlDataSource dataSource, CancellationToken cancellationToken)
    {
        await using var notify = dataSource.CreateCommand($"NOTIFY {Channel}");
        await notify.ExecuteNonQueryAsync(cancellationToken);
    }

    async Task TellAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await wakeUp.ForOthers.ReadAsync(stoppingToken);
                await TellAsync(dataSource, stoppingToken);
                await Task.Delay(Gathering, clock, stoppingToken);
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                LogNotTold(exception);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    async Task ListenAsync(CancellationToken stoppingToken)
    {
        for (var tries = 0; !stoppingToken.IsCancellationRequested;)
        {
            try
            {
                await using var connection = await OpenAsync(stoppingToken);
                connection.Notification += (_, _) => wakeUp.Now();
                await using (var listen = new NpgsqlCommand($"LISTEN {Channel}", connection))
                    await listen.ExecuteNonQueryAsync(stoppingToken);
                if (tries > 0)
                    LogListensAgain();
                tries = 0;
                // For what was said while nobody listened.
                wakeUp.Now();
                while (true)
                    await connection.WaitAsync(stoppingToken);
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                if (tries == 0)
                    LogDeaf(exception);
                await Pause.AfterOutageAsync(clock, tries++, stoppingToken);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    // Not from the pool: it would keep a place there for ever, and a pooler between here and the server cannot pass notices on.
    async Task<NpgsqlConnection> OpenAsync(CancellationToken cancellationToken)
    {
        var text = new NpgsqlConnectionStringBuilder(dataSource.ConnectionString) { Pooling = false, KeepAlive = 15, ApplicationName = ListenerName };
        await using var source = dataSource.CreateConnection();
        var connection = await source.CloneWithAsync(text.ConnectionString, cancellationToken);
        try
        {
            await connection.OpenAsync(cancellationToken);
            return connection;
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }

    [LoggerMessage(LogLevel.Warning, "Notices of other nodes are not heard; the poll finds due messages, only later")]
    partial void LogDeaf(Exception exception);

    [LoggerMessage(LogLevel.Information, "Notices of other nodes are heard again")]
    partial void LogListensAgain();

    [LoggerMessage(LogLevel.Debug, "Other nodes could not be told of a due message; their poll finds it")]
    partial void LogNotTold(Exception exception);
}
