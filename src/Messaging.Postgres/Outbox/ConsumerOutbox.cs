using System.Diagnostics;
using MassTransit;
using MassTransit.Middleware;
using Messaging.Postgres.Inbox;
using Microsoft.EntityFrameworkCore;

namespace Messaging.Postgres.Outbox;

/// <summary>
/// Inbox row (which is the lock too), the consumer's work, its messages, commit: in one transaction, which messages that wait at one
/// endpoint may share. Then the messages go out from memory. A crash in between leaves them to the sweeper.
/// </summary>
sealed class ConsumerOutbox<TDbContext>(
    TDbContext db, CommitGroups groups, OutboxSender sender, OutboxWakeUp wakeUp, TimeProvider clock, IServiceProvider provider)
    where TDbContext : DbContext
{
    /// <summary>False: a duplicate, the body did not run.</summary>
    public async Task<bool> RunAsync<T>(
        ConsumeContext<T> context, OutboxConsumeOptions options, OutboxMode mode, Func<OutboxTransactionContext<T>, Task> body)
        where T : class
    {
        if (db.Database.CreateExecutionStrategy().RetriesOnFailure)
        {
            throw new InvalidOperationException(
                $"{typeof(TDbContext).Name} uses EnableRetryOnFailure, which would run a consumer twice on one DbContext. The endpoint retries.");
        }

        var started = Stopwatch.GetTimestamp();
        var outbox = new OutboxTransactionContext<T>(context, options, provider, clock);
        InboxKey? inbox = mode != OutboxMode.WithoutInbox && context.MessageId is { } messageId
            ? new InboxKey(InboxDay.Of(context, clock), messageId, options.ConsumerId)
            : null;
        var member = new GroupMember(db, inbox, outbox, () => body(outbox), context.CancellationToken);
        try
        {
            if (mode == OutboxMode.Grouped && inbox is not null && !context.ReceiveContext.HasPayloadType(typeof(GoesAlone)))
                await groups.Of(options.ConsumerId).RunAsync(member);
            else
                await GroupTransaction.RunAsync([member], clock);
        }
        catch (UndoneTogetherException)
        {
            context.ReceiveContext.GetOrAddPayload(static () => GoesAlone.Mark);
            throw;
        }
        catch (Exception exception) when (member.IsConsumed)
        {
            await context.NotifyFaulted(Stopwatch.GetElapsedTime(started), options.ConsumerType ?? typeof(T).Name, exception);
            throw;
        }

        if (member.IsDuplicate)
        {
            Telemetry.Duplicates.Add(1);
            return false;
        }

        wakeUp.Scheduled(outbox.Messages, clock);
        await sender.SendCommittedAsync(outbox.Messages, member.InsertedAt, context.CancellationToken);
        return true;
    }
}

/// <summary>How an endpoint's messages get their transactions.</summary>
enum OutboxMode
{
    /// <summary>Those that wait share one.</summary>
    Grouped,

    /// <summary>Each has its own.</summary>
    OneByOne,

    /// <summary>Each has its own, and nobody asks whether it was there before.</summary>
    WithoutInbox,
}

/// <summary>Stays with a message that was undone together with others, through all its tries.</summary>
sealed class GoesAlone
{
    public static readonly GoesAlone Mark = new();
}

/// <summary>Where MassTransit's outbox filter comes in.</summary>
sealed class ConsumerOutboxFactory<TDbContext>(ConsumerOutbox<TDbContext> outbox) : IOutboxContextFactory<TDbContext>
    where TDbContext : DbContext
{
    public Task Send<T>(ConsumeContext<T> context, OutboxConsumeOptions options, IPipe<OutboxConsumeContext<T>> next)
        where T : class => ConsumerOutboxPipe.SendAsync(outbox, context, options, OutboxMode.Grouped, next);

    public void Probe(ProbeContext context) => context.CreateFilterScope("postgresOutbox");
}

/// <summary>Names the outbox one by one where MassTransit tells them apart by type.</summary>
sealed class OneByOne<TDbContext>
    where TDbContext : DbContext;

sealed class ConsumerOutboxFactoryOneByOne<TDbContext>(ConsumerOutbox<TDbContext> outbox) : IOutboxContextFactory<OneByOne<TDbContext>>
    where TDbContext : DbContext
{
    public Task Send<T>(ConsumeContext<T> context, OutboxConsumeOptions options, IPipe<OutboxConsumeContext<T>> next)
        where T : class => ConsumerOutboxPipe.SendAsync(outbox, context, options, OutboxMode.OneByOne, next);

    public void Probe(ProbeContext context) => context.CreateFilterScope("postgresOutboxOneByOne");
}

/// <summary>Names the outbox without inbox where MassTransit tells them apart by type.</summary>
sealed class WithoutInbox<TDbContext>
    where TDbContext : DbContext;

sealed class ConsumerOutboxFactoryWithoutInbox<TDbContext>(ConsumerOutbox<TDbContext> outbox) : IOutboxContextFactory<WithoutInbox<TDbContext>>
    where TDbContext : DbContext
{
    public Task Send<T>(ConsumeContext<T> context, OutboxConsumeOptions options, IPipe<OutboxConsumeContext<T>> next)
        where T : class => ConsumerOutboxPipe.SendAsync(outbox, context, options, OutboxMode.WithoutInbox, next);

    public void Probe(ProbeContext context) => context.CreateFilterScope("postgresOutboxWithoutInbox");
}

static class ConsumerOutboxPipe
{
    public static async Task SendAsync<TDbContext, T>(
        ConsumerOutbox<TDbContext> outbox, ConsumeContext<T> context, OutboxConsumeOptions options, OutboxMode mode, IPipe<OutboxConsumeContext<T>> next)
        where TDbContext : DbContext
        where T : class
    {
        var started = Stopwatch.GetTimestamp();
        if (await outbox.RunAsync(context, options, mode, inside => OutboxBypass.WatchAsync(() => next.Send(inside))))
            return;

        // Nobody consumed it, and without this word MassTransit would call it skipped.
        await context.NotifyConsumed(Stopwatch.GetElapsedTime(started), options.ConsumerType ?? typeof(T).Name);
    }
}
