using System.Threading.Channels;
using Microsoft.Extensions.Hosting;

namespace Messaging.Postgres.Outbox;

/// <summary>Takes what requests have committed and sends it off their path.</summary>
sealed class OutboxDispatcher(OutboxSender sender, BusGate gate, SentMessages sent, OutboxWakeUp wakeUp, TimeProvider clock) : BackgroundService
{
    // When it is full, the sweeper has the rest.
    readonly Channel<Committed> _committed = Channel.CreateBounded<Committed>(
        new BoundedChannelOptions(1000) { SingleReader = true, FullMode = BoundedChannelFullMode.DropWrite });

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
        var reader = _committed.Reader;
        while (await reader.WaitToReadAsync(stoppingToken))
        {
            // What has come while others were being confirmed goes together. The first was inserted first.
            reader.TryRead(out var first);
            List<OutboxMessage> messages = [.. first.Messages];
            while (messages.Count < OutboxSender.Concurrency && reader.TryRead(out var next))
                messages.AddRange(next.Messages);
            await sender.SendCommittedAsync(messages, first.InsertedAt, stoppingToken);
        }
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        while (_committed.Reader.TryRead(out var committed))
            sent.LeaveBehind(committed.Messages.Where(m => m.DueAt is null).Select(m => m.Id));
    }

    readonly record struct Committed(IReadOnlyList<OutboxMessage> Messages, long InsertedAt);
}
