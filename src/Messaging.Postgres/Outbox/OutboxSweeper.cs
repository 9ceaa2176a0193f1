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
    NpgsqlDataSource dataSource, OutboxSender sender, BusGate gate, OutboxWakeUp wakeUp, BusTransport transport, SentMessages sent,
    IOptions<PostgresMessagingOptions> options, TimeProvider clock, ILogger<OutboxSweeper> logger) : BackgroundService
{
    public static readonly TimeSpan Poll = OutboxLease.Duration / 2;

    // Rows that come due within it are claimed together.
    static readonly TimeSpan Gathering = TimeSpan.FromMilliseconds(10);

    // A destination that needs longer goes on beside the sweeps for the others.
    static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(100);

    // One that needs this long for a window keeps no more than the window.
    static readonly TimeSpan Slow = TimeSpan.FromSeconds(1);

    static readonly TimeSpan LongestBackOff = TimeSpan.FromMinutes(10);

    readonly PostgresMessagingOptions _options = options.Value;
    readonly DateTime _hostStarted = clock.GetUtcNow().UtcDateTime;
    readonly Dictionary<string, SweepLane> _lanes = [];
    Exception? _outage;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (!_options.Sweep)
            return;

        var freed = !(_options.FreeLeasesAtStart ?? transport.IsInMemory);
        var outages = 0;
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
                var more = await SweepAsync(oneOnly: outages > 0, stoppingToken);
                if (Interlocked.Exchange(ref _outage, null) is { } outage)
                {
                    if (outages++ == 0)
                        LogAway(outage);
                    await Pause.AfterOutageAsync(clock, outages, stoppingToken);
                    continue;
                }

                if (outages > 0)
                    LogBack();
                outages = 0;
                if (!more)
                    await SleepAsync(woken, stoppingToken);
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                if (outages++ == 0)
                    LogPaused(exception);
                await Pause.AfterOutageAsync(clock, outages, stoppingToken);
            }
            catch (OperationCanceledException)
            {
                break;
            }
        }

        await Task.WhenAll(_lanes.Values.Select(lane => lane.Running));
    }

    string[] Closed() => [.. _lanes.Values.Where(lane => !lane.IsOpen(clock)).Select(lane => lane.Destination)];

    async Task SleepAsync(Task woken, CancellationToken stoppingToken)
    {
        // Those that end while the database is asked are among them: it was asked without their rows.
        Task[] wakers = [woken, .. _lanes.Values.Select(lane => lane.Running).Where(running => !running.IsCompleted)];
        var next = await OutboxClaims.NextDueAsync(dataSource, Closed(), stoppingToken) ?? Poll;
        var reopening = _lanes.Values.Select(lane => lane.PauseLeft(clock)).Where(left => left > TimeSpan.Zero).DefaultIfEmpty(Poll).Min();
        var sleep = TimeSpan.FromTicks(Math.Clamp(Math.Min(next.Ticks, reopening.Ticks), Gathering.Ticks, Poll.Ticks));
        await ((Task)Task.WhenAny(wakers)).WaitAsync(sleep, clock, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    /// <param name="oneOnly">Something was away: one message finds out whether it is back.</param>
    /// <returns>Whether more may be due.</returns>
    async Task<bool> SweepAsync(bool oneOnly, CancellationToken stoppingToken)
    {
        foreach (var lane in _lanes.Values.Where(lane => lane.IsForgotten(clock)).ToList())
            _lanes.Remove(lane.Destination);
        var limit = oneOnly ? 1 : Math.Max(1, _options.SweepBatch - _lanes.Values.Sum(lane => lane.Held));
        var claimedAt = clock.GetTimestamp();
        var claimed = await OutboxClaims.ClaimAsync(dataSource, limit, Closed(), stoppingToken);
        if (claimed.Count == 0)
            return false;

        Telemetry.Swept.Add(claimed.Count);
        Telemetry.LeasesLapsed.Add(claimed.Count(m => m.DueAt is null && m.Attempts == 0));
        var running = claimed.GroupBy(m => m.Destination).Select(rows => Start(rows.Key, [.. rows], claimedAt, stoppingToken)).ToList();
        await Task.WhenAll(running).WaitAsync(oneOnly ? Timeout.InfiniteTimeSpan : Patience, clock, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return claimed.Count == limit || claimed.Sum(m => (long)m.Body.Length) >= OutboxClaims.MostBytes;
    }

    Task Start(string destination, IReadOnlyList<OutboxMessage> rows, long claimedAt, CancellationToken stoppingToken)
    {
        if (!_lanes.TryGetValue(destination, out var lane))
            _lanes[destination] = lane = new SweepLane(destination);
        lane.Hold(rows.Count);
        return lane.Running = SendAsync(lane, rows, claimedAt, stoppingToken);
    }

    /// <summary>Sends what was claimed for one destination. It never throws.</summary>
    async Task SendAsync(SweepLane lane, IReadOnlyList<OutboxMessage> rows, long claimedAt, CancellationToken stoppingToken)
    {
        var settlement = new Settlement();
        var rest = new Queue<OutboxMessage>(rows);
        var begun = 0;
        while (rest.Count > 0 && MayGoOn())
        {
            var window = new List<OutboxMessage>();
            for (var size = lane.WindowSize; window.Count < size && rest.TryDequeue(out var message);)
                window.Add(message);
            begun += window.Count;
            var sending = Task.WhenAll(window.Select(m => TryAsync(m, stoppingToken)));
            await ((Task)sending).WaitAsync(Slow, clock, CancellationToken.None).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (!sending.IsCompleted)
                await GiveBackAsync(lane, rest, stoppingToken);
            foreach (var (message, error) in await sending)
                await SortAsync(lane, message, error, settlement, stoppingToken);
        }

        await GiveBackAsync(lane, rest, stoppingToken);
        await SettleAsync(settlement, stoppingToken);
        lane.Hold(-begun);

        bool MayGoOn() => _outage is null && gate.IsOpen && !stoppingToken.IsCancellationRequested && lane.PauseLeft(clock) <= TimeSpan.Zero
            && clock.GetElapsedTime(claimedAt) < OutboxLease.Usable;
    }

    async Task GiveBackAsync(SweepLane lane, Queue<OutboxMessage> rows, CancellationToken stoppingToken)
    {
        if (rows.Count == 0)
            return;
        var settlement = new Settlement();
        foreach (var message in rows)
            settlement.GiveBack(message);
        await SettleAsync(settlement, stoppingToken);
        lane.Hold(-rows.Count);
        rows.Clear();
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

    async Task SortAsync(SweepLane lane, OutboxMessage message, Exception? error, Settlement settlement, CancellationToken stoppingToken)
    {
        switch (error)
        {
            case null:
                settlement.Sent.Add(message.Id);
                lane.Succeeded();
                break;
            case not null when stoppingToken.IsCancellationRequested:
                settlement.GiveBack(message);
                break;
            case not null when TransientError.IsOutage(error):
                Interlocked.CompareExchange(ref _outage, error, null);
                settlement.GiveBack(message);
                break;
            case TimeoutException or OperationCanceledException:
                // Its queue or all of the broker: the other destinations tell.
                settlement.PutOff.Add(new PutOff(message.Id, Counted: false, error.Message, TimeSpan.Zero));
                if (lane.Failed(clock) is { } pause)
                    LogSilent(message.Destination, pause, error);
                break;
            case not null when TransientError.HasNoReceiver(error) && !IsForsaken(message):
                // It may come yet, as a first worker does: nothing is counted, and nothing else waits for it.
                settlement.PutOff.Add(new PutOff(message.Id, Counted: false, error.Message, TimeSpan.Zero));
                if (lane.Failed(clock) is { } wait)
                    LogNoReceiver(message.Destination, wait);
                break;
            default:
                await CountAsync(message, error, settlement);
                break;
        }
    }

    bool IsForsaken(OutboxMessage message) => clock.GetUtcNow().UtcDateTime - (message.DueAt ?? message.SentAt) > SweepLane.LongestWithoutReceiver;

    async Task CountAsync(OutboxMessage message, Exception error, Settlement settlement)
    {
        Telemetry.Failed.Add(1);
        if (message.Attempts + 1 < _options.MaxAttempts && !TransientError.HasNoReceiver(error))
        {
            var delay = BackOff(message.Attempts);
            settlement.PutOff.Add(new PutOff(message.Id, Counted: true, error.ToString(), delay));
            LogRetry(message.MessageId, message.Destination, delay, error);
            return;
        }

        try
        {
            if (!await OutboxClaims.BuryAsync(dataSource, message.Id, error, CancellationToken.None))
                return;
            Telemetry.Dead.Add(1);
            LogDead(message.MessageId, message.Destination, message.Attempts + 1, error);
        }
        catch (Exception exception)
        {
            // Its lease lapses, and the next try buries it.
            LogUnsettled(1, exception);
        }
    }

    async Task SettleAsync(Settlement settlement, CancellationToken stoppingToken)
    {
        try
        {
            await OutboxClaims.SettleAsync(dataSource, settlement.Sent, settlement.PutOff, CancellationToken.None);
            // Other nodes should not wait for the leases of one that stops.
            if (stoppingToken.IsCancellationRequested)
                sent.LeaveBehind(settlement.PutOff.Select(p => p.Id));
        }
        catch (Exception exception)
        {
            // Leases lapse, and what was sent is sent again: its receivers drop the twin.
            LogUnsettled(settlement.Sent.Count + settlement.PutOff.Count, exception);
        }
    }

    TimeSpan BackOff(int attempts)
    {
        var delay = _options.BackOff * Math.Pow(2, Math.Min(attempts, 30));
        return delay < LongestBackOff ? delay : LongestBackOff;
    }

    sealed class Settlement
    {
        public List<Guid> Sent { get; } = [];

        public List<PutOff> PutOff { get; } = [];

        public void GiveBack(OutboxMessage message) => PutOff.Add(new PutOff(message.Id, Counted: false, null, TimeSpan.Zero));
    }
}

/// <summary>What carries the messages of this host.</summary>
sealed record BusTransport(bool IsInMemory);
