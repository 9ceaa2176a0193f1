using System.Data;
using Contracts.BatchInference;
using MassTransit;
using Messaging.PlainJson;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Consumers.BatchInference;

/// <summary>
/// Says on <c>batch-metrics</c> how far each job is, once a second where something has changed. One node does it for all: the one that
/// holds a lock of its database session, and another once that session is gone.
/// </summary>
public sealed partial class JobMetrics(NpgsqlDataSource database, IBus bus, TimeProvider clock, ILogger<JobMetrics> logger) : BackgroundService
{
    static readonly TimeSpan Period = TimeSpan.FromSeconds(1);
    static readonly TimeSpan TimeToLive = TimeSpan.FromSeconds(30);

    // Open jobs, and those that were open a moment ago: their last word.
    const string ProgressSql =
        """
        SELECT j.id, j.reference, s.current_state, j.input_rows, j.scored + j.quarantined + coalesce(r.rows, 0), j.quarantined, j.total_units, j.committed_units,
            extract(epoch FROM coalesce(j.ended_at, clock_timestamp()) - j.planned_at)::float8, clock_timestamp(), j.tenant
        FROM sagas.work_jobs j
        JOIN sagas.batch_jobs s ON s.correlation_id = j.id
        LEFT JOIN LATERAL (
            SELECT sum(u.rows_done)::bigint AS rows FROM sagas.work_units u WHERE u.job_id = j.id AND u.unit >= 0 AND u.state = 2) r ON true
        WHERE j.kind = 'batch-inference' AND j.planned_at IS NOT NULL
            AND (j.state IN ('Accepted', 'Queued', 'Admitted', 'Running', 'Committed') OR j.id = ANY ($1))
        """;

    const string OpenSql = "SELECT id FROM sagas.work_jobs WHERE kind = 'batch-inference' AND state IN ('Accepted', 'Queued', 'Admitted', 'Running', 'Committed')";

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await using var session = await database.OpenConnectionAsync(stoppingToken);
                if (await TryLeadAsync(session, stoppingToken))
                    await LeadAsync(session, stoppingToken);
            }
            catch (Exception e) when (!stoppingToken.IsCancellationRequested)
            {
                LogPaused(Period, e);
            }
            catch (OperationCanceledException)
            {
                return;
            }

            await Task.Delay(Period, clock, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    static Task<bool> TryLeadAsync(NpgsqlConnection session, CancellationToken cancellationToken) =>
        ExecuteAsync(session, "SELECT pg_try_advisory_lock(hashtextextended('batch-metrics', 0))", cancellationToken);

    static async Task<bool> ExecuteAsync(NpgsqlConnection session, string question, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(question, session);
        return await command.ExecuteScalarAsync(cancellationToken) is true;
    }

    async Task LeadAsync(NpgsqlConnection session, CancellationToken stoppingToken)
    {
        try
        {
            await ReportAsync(session, stoppingToken);
        }
        finally
        {
            // The session goes back to its pool as it is; if it is broken, PostgreSQL has freed the lock.
            if (session.State == ConnectionState.Open)
                await ExecuteAsync(session, "SELECT pg_advisory_unlock(hashtextextended('batch-metrics', 0))", CancellationToken.None);
        }
    }

    // Everything is asked of the session that holds the lock: who can still read may still speak.
    async Task ReportAsync(NpgsqlConnection session, CancellationToken stoppingToken)
    {
        var told = new Dictionary<Guid, BatchMetrics>();
        Guid[] open = [];
        while (true)
        {
            // Before the first word too: the node that spoke last may have done so just now.
            await Task.Delay(Period, clock, stoppingToken);
            var metrics = await ReadAsync(session, open, stoppingToken);
            foreach (var now in metrics)
            {
                if (told.TryGetValue(now.JobId, out var last) && last == now with { At = last.At, RowsPerSecond = last.RowsPerSecond })
                    continue;
                await TellAsync(now, stoppingToken);
                told[now.JobId] = now;
            }

            open = await OpenAsync(session, stoppingToken);
            foreach (var ended in told.Keys.Except(open).Except(metrics.Select(m => m.JobId)).ToList())
                told.Remove(ended);
        }
    }

    async Task TellAsync(BatchMetrics metrics, CancellationToken stoppingToken)
    {
        using var patience = new CancellationTokenSource(Period * 5, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, stoppingToken);
        await bus.PublishJson(metrics, NewId.NextGuid(), metrics.Type, context =>
        {
            context.TimeToLive = TimeToLive;
            context.Durable = false;
        }, either.Token).WaitAsync(either.Token);
    }

    static async Task<List<BatchMetrics>> ReadAsync(NpgsqlConnection session, Guid[] open, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(ProgressSql, session) { Parameters = { new NpgsqlParameter<Guid[]> { TypedValue = open } } };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var metrics = new List<BatchMetrics>();
        while (await reader.ReadAsync(cancellationToken))
        {
            var (done, seconds) = (reader.GetInt64(4), reader.GetDouble(8));
            metrics.Add(new BatchMetrics(
                BatchEventTypes.Progress, reader.GetGuid(0), reader.GetString(10), await reader.IsDBNullAsync(1, cancellationToken) ? null : reader.GetString(1), reader.GetString(2),
                await reader.GetFieldValueAsync<DateTimeOffset>(9, cancellationToken), reader.GetInt64(3), done, reader.GetInt64(5),
                seconds > 0 && done > 0 ? Math.Round(done / seconds, 1) : null, reader.GetInt32(6), reader.GetInt32(7)));
        }

        return metrics;
    }

    static async Task<Guid[]> OpenAsync(NpgsqlConnection session, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(OpenSql, session);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var open = new List<Guid>();
        while (await reader.ReadAsync(cancellationToken))
            open.Add(reader.GetGuid(0));
        return [.. open];
    }
}
