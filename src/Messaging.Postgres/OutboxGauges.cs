using System.Diagnostics.Metrics;
using Messaging.Postgres.Outbox;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Messaging.Postgres;

/// <summary>
/// The outbox's figures for whoever measures. Read by hosts that sweep, now and then, by statements that end early however large the
/// tables are; what is asked for in between is the last figure. Each host gives those of the whole table.
/// </summary>
sealed partial class OutboxGauges : BackgroundService
{
    readonly NpgsqlDataSource _dataSource;
    readonly PostgresMessagingOptions _options;
    readonly TimeProvider _clock;
    readonly ILogger<OutboxGauges> _logger;

    // Of its own: a gauge lives as long as its meter, and this one no longer than its host.
    readonly Meter _meter = new(Telemetry.MeterName);
    Figures? _figures;

    public OutboxGauges(NpgsqlDataSource dataSource, IOptions<PostgresMessagingOptions> options, TimeProvider clock, ILogger<OutboxGauges> logger)
    {
        (_dataSource, _options, _clock, _logger) = (dataSource, options.Value, clock, logger);
        if (!_options.Sweep)
            return;
        _meter.CreateObservableGauge("messaging.outbox.depth", () => Measure(f => f.Depth), "{message}", "Messages in the outbox, schedules included");
        _meter.CreateObservableGauge("messaging.outbox.due", () => Measure(f => f.Due), "{message}", "Messages that nobody has sent in time");
        _meter.CreateObservableGauge("messaging.outbox.oldest_due_age", () => Measure(f => f.OldestDueAge), "s", "How long the oldest message waits that should be gone");
        _meter.CreateObservableGauge("messaging.dead.depth", () => Measure(f => f.Dead), "{message}", "Dead letters");
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (!_options.Sweep)
            return;
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                _figures = await ReadAsync(stoppingToken);
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                // No figure is better than an old one.
                _figures = null;
                LogUnread(exception.Message);
            }
            catch (OperationCanceledException)
            {
                return;
            }

            await Task.Delay(_options.GaugeInterval, _clock, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    IEnumerable<Measurement<T>> Measure<T>(Func<Figures, T> figure)
        where T : struct => _figures is { } figures ? [new Measurement<T>(figure(figures))] : [];

    // Small tables are counted. Of large ones the planner has an estimate, which vacuum keeps fresh.
    async Task<Figures> ReadAsync(CancellationToken cancellationToken)
    {
        await using var command = _dataSource.CreateCommand(
            """
            SELECT
                CASE WHEN o.counted < 10000 THEN o.counted ELSE greatest(o.counted, o.estimate) END,
                (SELECT count(*) FROM (SELECT FROM messaging.outbox WHERE visible_at <= now() LIMIT 10000) d),
                (SELECT coalesce(extract(epoch FROM now() - min(coalesce(due_at, sent_at))), 0)::float8 FROM (
                    SELECT due_at, sent_at FROM messaging.outbox
                    WHERE visible_at <= now() + $1 AND (due_at IS NULL OR due_at <= now()) ORDER BY visible_at LIMIT 1000) d),
                (SELECT count(*) FROM (SELECT FROM messaging.dead LIMIT 10000) d)
            FROM (SELECT
                (SELECT count(*) FROM (SELECT FROM messaging.outbox LIMIT 10000) c) AS counted,
                (SELECT reltuples::bigint FROM pg_class WHERE oid = 'messaging.outbox'::regclass) AS estimate) o
            """);
        command.Parameters.Add(new NpgsqlParameter<TimeSpan> { TypedValue = OutboxLease.Duration });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        return new Figures(reader.GetInt64(0), reader.GetInt64(1), Math.Max(0, reader.GetDouble(2)), reader.GetInt64(3));
    }

    public override void Dispose()
    {
        _meter.Dispose();
        base.Dispose();
    }

    sealed record Figures(long Depth, long Due, double OldestDueAge, long Dead);

    [LoggerMessage(LogLevel.Warning, "The outbox's figures could not be read: {Reason}")]
    partial void LogUnread(string reason);
}
