using System.Threading.Channels;
using Microsoft.Extensions.Hosting;

namespace Messaging.Postgres.Outbox;

/// <summary>Takes what requests have committed and sends it off their path.</summary>
sealed class OutboxDispatcher(OutboxSender sender, BusGate gate, OutboxWakeUp wakeUp, TimeProvider clock) : BackgroundService
{
    // When it is full, the sweeper has the rest.
    readonly Channel<Committed> _committed = Channel.CreateBounded<Committed>(
        new BoundedChannelOptions(1000) { SingleReader = true, FullMode = BoundedChannelFullMode.DropWrite }, static dropped =>
            Telemetry.LeasesLapsed.Add(dropped.Messages.Count));

    /// <param name="insertedAt">Timestamp taken before the rows were inserted.</param>
    public void Enqueue(IReadOnlyList<OutboxMessage> messages, long insertedAt)
    {
        wakeUp.Scheduled(messages, clock);
        if (messages.Any(m => m.DueAt is null))
            _committed.Writer.TryWrite(new Committed(messages, insertedAt));
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await gate.WaitAsync(stoppingToken);
        await foreach (var (messages, insertedAt) in _committed.Reader.ReadAllAsync(stoppingToken))
            await sender.SendCommittedAsync(messages, insertedAt, stoppingToken);
    }

    readonly record struct Committed(IReadOnlyList<OutboxMessage> Messages, long InsertedAt);
}
