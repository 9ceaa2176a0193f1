using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Messaging.Postgres.Outbox;

/// <summary>
/// Sends the rows nobody sends from memory: schedules that are due, and those whose sender died, stopped or was too slow. Any number of
/// nodes may sweep. An outage of the bus or the database is no try of a message.
/// </summary>
sealed partial class OutboxSweeper(
    NpgsqlDataSource dataSource, OutboxSender sender, BusGate gate, OutboxWakeUp wakeUp, BusTransport transport,
    IOptions<PostgresMessagingOptions> options, TimeProvider clock, ILogger<OutboxSweeper> logger) : BackgroundService
{
    static readonly TimeSpan Poll = OutboxLease.Duration / 2;
    static readonly TimeSpan LongestBackOff = TimeSpan.FromMinutes(10);
    static readonly TimeSpan NoReceiverPause = TimeSpan.FromSeconds(2);
    const int Concurrency = 64;

    readonly PostgresMessagingOptions _options = options.Value;
    readonly DateTime _hostStarted = clock.GetUtcNow().UtcDateTime;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (!_options.Sweep)
            return;

        var freed = !(_options.FreeLeasesAtStart ?? transport.IsInMemory);
        var outage = 0;
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await gate.WaitAsync(stoppingToken);
                if (!freed)
                {
                    // Only those of an earlier run: this one's may be on their way.
                    LogFreed(await OutboxTable.FreeAsync(dataSource, _hostStarted, stoppingToken));
                    freed = true;
                }

                // Armed before the look at the table, so that nothing committed after it is missed.
                var woken = wakeUp.Arm(clock.GetUtcNow().UtcDateTime + Poll);
                var (claimed, away) = await SweepAsync(stoppingToken);
                outage = away ? outage + 1 : 0;
                if (away)
                    await Pause.AfterOutageAsync(clock, outage, stoppingToken);
                else if (claimed < _options.SweepBatch)
                    await SleepAsync(woken, stoppingToken);
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                if (outage++ == 0)
                    LogPaused(exception);
                await Pause.AfterOutageAsync(clock, outage, stoppingToken);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    async Task SleepAsync(Task woken, CancellationToken stoppingToken)
    {
        var next = await OutboxTable.NextDueAsync(dataSource, stoppingToken);
        var sleep = next < Poll ? next.Value : Poll;
        if (sleep <= TimeSpan.Zero)
            return;
        await woken.WaitAsync(sleep, clock, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    async Task<(int Claimed, bool Away)> SweepAsync(CancellationToken stoppingToken)
    {
        var claimedAt = clock.GetTimestamp();
        var claimed = await OutboxTable.ClaimAsync(dataSource, _options.SweepBatch, stoppingToken);
        if (claimed.Count == 0)
            return (0, false);

        Telemetry.Swept.Add(claimed.Count);
        var sent = new List<Guid>(claimed.Count);
        var away = false;
        foreach (var window in claimed.Chunk(Concurrency))
        {
            if (away || !gate.IsOpen || stoppingToken.IsCancellationRequested || clock.GetElapsedTime(claimedAt) > OutboxLease.Usable)
            {
                // Lapses by itself, except in an outage, where the pause is shorter than the lease.
                away = away || !gate.IsOpen;
                Telemetry.LeasesLapsed.Add(window.Length);
                continue;
            }

            foreach (var (message, error) in await Task.WhenAll(window.Select(m => TryAsync(m, stoppingToken))))
            {
                if (error is null)
                    sent.Add(message.Id);
                else
                    away |= await SettleFailureAsync(message, error);
            }
        }

        if (sent.Count > 0)
            await OutboxTable.DeleteAsync(dataSource, [.. sent], CancellationToken.None);
        return (claimed.Count, away);
    }

    async Task<(OutboxMessage Message, Exception? Error)> TryAsync(OutboxMessage message, CancellationToken stoppingToken)
    {
        try
        {
            await sender.SendAsync(message, stoppingToken);
            return (message, null);
        }
        catch (Exception exception)
        {
            return (message, exception);
        }
    }

    /// <summary>True when it was not the message's fault.</summary>
    async Task<bool> SettleFailureAsync(OutboxMessage message, Exception error)
    {
        if (error is TimeoutException or OperationCanceledException || TransientError.IsOutage(error))
        {
            await OutboxTable.RetryLaterAsync(dataSource, message.Id, counted: false, null, TimeSpan.FromSeconds(1), CancellationToken.None);
            LogAway(message.Destination, error);
            return true;
        }

        if (TransientError.HasNoReceiver(error))
        {
            // It may come yet, as a first worker does: nothing is counted, and nothing else waits for it.
            await OutboxTable.RetryLaterAsync(dataSource, message.Id, counted: false, error.Message, NoReceiverPause, CancellationToken.None);
            LogNoReceiver(message.MessageId, message.Destination, NoReceiverPause);
            return false;
        }

        Telemetry.Failed.Add(1);
        if (message.Attempts + 1 >= _options.MaxAttempts)
        {
            await OutboxTable.BuryAsync(dataSource, message.Id, error, CancellationToken.None);
            Telemetry.Dead.Add(1);
            LogDead(message.MessageId, message.Destination, message.Attempts + 1, error);
            return false;
        }

        var delay = BackOff(message.Attempts);
        await OutboxTable.RetryLaterAsync(dataSource, message.Id, counted: true, error.ToString(), delay, CancellationToken.None);
        LogRetry(message.MessageId, message.Destination, delay, error);
        return false;
    }

    TimeSpan BackOff(int attempts)
    {
        var delay = _options.BackOff * Math.Pow(2, Math.Min(attempts, 30));
        return delay < LongestBackOff ? delay : LongestBackOff;
    }
}

/// <summary>What carries the messages of this host.</summary>
sealed record BusTransport(bool IsInMemory);
