using MassTransit;
using MassTransit.Middleware;
using MassTransit.Middleware.Outbox;

namespace Messaging.Postgres.Outbox;

/// <summary>Says that the transaction around a message is open already, and takes what belongs into it.</summary>
// MassTransit finds it as a payload of the consume context.
interface IOutboxTransaction
{
    IReadOnlyList<OutboxMessage> Messages { get; }

    IReadOnlyCollection<Guid> Cancelled { get; }

    /// <summary>Set when the transaction is shared.</summary>
    GroupMember? Member { get; set; }

    void CancelSchedule(Guid tokenId);
}

/// <summary>The consume context inside the transaction: whatever the consumer sends is gathered and written with it.</summary>
sealed class OutboxTransactionContext<T>(
    ConsumeContext<T> context, OutboxConsumeOptions options, IServiceProvider provider, TimeProvider clock)
    : OutboxConsumeContextProxy<T>(context, options, provider), IOutboxTransaction
    where T : class
{
    readonly Lock _lock = new();
    readonly List<OutboxMessage> _messages = [];
    readonly HashSet<Guid> _cancelled = [];
    bool _sealed;

    public IReadOnlyList<OutboxMessage> Messages => _messages;

    public IReadOnlyCollection<Guid> Cancelled => _cancelled;

    public GroupMember? Member { get; set; }

    // One pass does everything, so MassTransit's own bookkeeping of passes has nothing to tell.
    public override bool ContinueProcessing { get; set; }

    public override bool IsMessageConsumed => false;

    public override bool IsOutboxDelivered => false;

    public override int ReceiveCount => 1;

    public override long? LastSequenceNumber => null;

    public override async Task SetConsumed()
    {
        await ConsumeCompleted;
        Seal();
    }

    /// <summary>A send after this would be neither in the transaction nor sent, so it fails.</summary>
    public void Seal()
    {
        lock (_lock)
            _sealed = true;
    }

    public override Task AddSend<TMessage>(SendContext<TMessage> context)
    {
        var message = context.ToOutboxMessage(clock);
        lock (_lock)
        {
            ThrowIfSealed();
            _messages.Add(message);
        }

        return Task.CompletedTask;
    }

    public void CancelSchedule(Guid tokenId)
    {
        lock (_lock)
        {
            ThrowIfSealed();
            _messages.RemoveAll(m => m.TokenId == tokenId);
            _cancelled.Add(tokenId);
        }
    }

    public override Task SetDelivered() => Task.CompletedTask;

    public override Task<List<OutboxMessageContext>> LoadOutboxMessages() => Task.FromResult(new List<OutboxMessageContext>());

    public override Task NotifyOutboxMessageDelivered(OutboxMessageContext message) => Task.CompletedTask;

    public override Task RemoveOutboxMessages() => Task.CompletedTask;

    void ThrowIfSealed()
    {
        if (_sealed)
            throw new InvalidOperationException($"{typeof(T).Name} is consumed already: await every send inside the consumer");
    }
}
