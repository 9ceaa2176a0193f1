namespace Standalone;

sealed class PostgresWatch(EmbeddedPostgres postgres) : BackgroundService
{
    protected override Task ExecuteAsync(CancellationToken stoppingToken) => postgres.WatchAsync(stoppingToken);
}
