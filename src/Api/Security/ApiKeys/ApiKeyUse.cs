using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using Sagas.Persistence;

namespace Api.Security.ApiKeys;

/// <summary>Writes down when keys were used last: once in a while for all of them, never in a request.</summary>
sealed partial class ApiKeyUse(ApiKeyDirectory keys, PlatformDatabase database, TimeProvider clock, ILogger<ApiKeyUse> logger) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromMinutes(1), clock);
        while (await timer.WaitForNextTickAsync(stoppingToken).ConfigureAwait(false))
            await WriteAsync(stoppingToken);
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        await WriteAsync(cancellationToken);
    }

    async Task WriteAsync(CancellationToken cancellationToken)
    {
        var used = keys.TakeUsed();
        if (used.Count == 0)
            return;
        try
        {
            await using var command = database.System.CreateCommand(
                """
                UPDATE sagas.api_keys k SET last_used_at = u.at FROM unnest($1, $2) AS u (id, at)
                WHERE k.id = u.id AND (k.last_used_at IS NULL OR k.last_used_at < u.at)
                """);
            command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. used.Keys] });
            command.Parameters.Add(new NpgsqlParameter<DateTime[]> { TypedValue = [.. used.Values.Select(at => at.UtcDateTime)] });
            await command.ExecuteNonQueryAsync(cancellationToken);
        }
        catch (NpgsqlException e)
        {
            LogLost(e.Message);
        }
    }

    [LoggerMessage(LogLevel.Debug, "When keys were used last is not written down this time: {Reason}")]
    partial void LogLost(string reason);
}
