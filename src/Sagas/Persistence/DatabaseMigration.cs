using MassTransit;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Sagas.Persistence;

/// <summary>
/// Brings the tables up to date, however many hosts start at once and whether or not PostgreSQL is there yet. The bus waits for it:
/// a message that came before the tables would look as if it could not be handled.
/// </summary>
public sealed partial class DatabaseMigration(
    PlatformDatabase database, IHostApplicationLifetime lifetime, TimeProvider clock, ILogger<DatabaseMigration> logger)
    : BackgroundService, IBusObserver, IHealthCheck
{
    const long Lock = 0x5A6A_0003;
    static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);

    readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        string? told = null;
        for (var tries = 0; !stoppingToken.IsCancellationRequested; tries++)
        {
            try
            {
                await MigrateAsync(stoppingToken);
                LogReady();
                _done.TrySetResult();
                return;
            }
            catch (Exception e) when (!stoppingToken.IsCancellationRequested)
            {
                // An outage is told once, not at every try.
                if (e.Message != told)
                    LogWaiting(told = e.Message);
            }

            var pause = TimeSpan.FromSeconds(Math.Min(0.25 * Math.Pow(2, Math.Min(tries, 10)), LongestPause.TotalSeconds));
            // Not in step with the other hosts.
            await Task.Delay(pause * (0.5 + Random.Shared.NextDouble() / 2), clock, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    async Task MigrateAsync(CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenOwnerAsync(cancellationToken);
        // EF Core's own lock is on a table that has to be made first. The session's end gives ours back.
        await ExecuteAsync(connection, "pg_advisory_lock", cancellationToken);
        try
        {
            await database.MigrateAsync(cancellationToken);
        }
        finally
        {
            if (connection.State == System.Data.ConnectionState.Open)
                await ExecuteAsync(connection, "pg_advisory_unlock", CancellationToken.None);
        }
    }

    static async Task ExecuteAsync(NpgsqlConnection connection, string function, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand($"SELECT {function}({Lock})", connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    Task<HealthCheckResult> IHealthCheck.CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken) =>
        Task.FromResult(_done.Task.IsCompleted ? HealthCheckResult.Healthy() : HealthCheckResult.Unhealthy("The tables are not there yet"));

    Task IBusObserver.PreStart(IBus bus) => _done.Task.WaitAsync(lifetime.ApplicationStopping);

    void IBusObserver.PostCreate(IBus bus)
    {
    }

    void IBusObserver.CreateFaulted(Exception exception)
    {
    }

    Task IBusObserver.PostStart(IBus bus, Task<BusReady> busReady) => Task.CompletedTask;

    Task IBusObserver.StartFaulted(IBus bus, Exception exception) => Task.CompletedTask;

    Task IBusObserver.PreStop(IBus bus) => Task.CompletedTask;

    Task IBusObserver.PostStop(IBus bus) => Task.CompletedTask;

    Task IBusObserver.StopFaulted(IBus bus, Exception exception) => Task.CompletedTask;
}
