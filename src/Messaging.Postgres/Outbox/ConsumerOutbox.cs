using System.Data;
using System.Diagnostics;
using MassTransit;
using MassTransit.Middleware;
using Messaging.Postgres.Inbox;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Messaging.Postgres.Outbox;

/// <summary>
/// One message, one transaction: inbox row (which is the lock too), the consumer's work, its messages, commit. Then the messages go out
/// from memory. A crash in between leaves them to the sweeper.
/// </summary>
sealed class ConsumerOutbox<TDbContext>(
    TDbContext db, OutboxSender sender, OutboxWakeUp wakeUp, TimeProvider clock, IServiceProvider provider)
    where TDbContext : DbContext
{
    /// <summary>False: a duplicate, the body did not run.</summary>
    public async Task<bool> RunAsync<T>(
        ConsumeContext<T> context, OutboxConsumeOptions options, bool withInbox, Func<OutboxTransactionContext<T>, Task> body)
        where T : class
    {
        if (db.Database.CreateExecutionStrategy().RetriesOnFailure)
        {
            throw new InvalidOperationException(
                $"{typeof(TDbContext).Name} uses EnableRetryOnFailure, which would run a consumer twice on one DbContext. The endpoint retries.");
        }

        var started = Stopwatch.GetTimestamp();
        var outbox = new OutboxTransactionContext<T>(context, options, provider, clock);
        long insertedAt;
        db.Database.AutoSavepointsEnabled = false;
        // Npgsql sends BEGIN together with the first statement, so this costs no round trip.
        await using (var transaction = await db.Database.BeginTransactionAsync(IsolationLevel.ReadCommitted, context.CancellationToken))
        {
            var connection = (NpgsqlConnection)db.Database.GetDbConnection();
            if (withInbox && context.MessageId is { } messageId
                && !await InboxTable.TryInsertAsync(connection, InboxDay.Of(context, clock), messageId, options.ConsumerId, context.CancellationToken))
            {
                Telemetry.Duplicates.Add(1);
                await transaction.RollbackAsync(context.CancellationToken);
                return false;
            }

            await body(outbox);
            try
            {
                await db.SaveChangesAsync(context.CancellationToken);
                insertedAt = clock.GetTimestamp();
                await OutboxTable.WriteAsync(connection, outbox.Cancelled, outbox.Messages, context.CancellationToken);
                await transaction.CommitAsync(context.CancellationToken);
            }
            catch (Exception exception)
            {
                await context.NotifyFaulted(Stopwatch.GetElapsedTime(started), options.ConsumerType ?? typeof(T).Name, exception);
                throw;
            }
        }

        wakeUp.Scheduled(outbox.Messages, clock);
        await sender.SendCommittedAsync(outbox.Messages, insertedAt, context.CancellationToken);
        return true;
    }
}

/// <summary>Where MassTransit's outbox filter comes in.</summary>
sealed class ConsumerOutboxFactory<TDbContext>(ConsumerOutbox<TDbContext> outbox) : IOutboxContextFactory<TDbContext>
    where TDbContext : DbContext
{
    public Task Send<T>(ConsumeContext<T> context, OutboxConsumeOptions options, IPipe<OutboxConsumeContext<T>> next)
        where T : class => ConsumerOutboxPipe.SendAsync(outbox, context, options, withInbox: true, next);

    public void Probe(ProbeContext context) => context.CreateFilterScope("postgresOutbox");
}

/// <summary>Names the outbox without inbox where MassTransit tells them apart by type.</summary>
sealed class WithoutInbox<TDbContext>
    where TDbContext : DbContext;

sealed class ConsumerOutboxFactoryWithoutInbox<TDbContext>(ConsumerOutbox<TDbContext> outbox) : IOutboxContextFactory<WithoutInbox<TDbContext>>
    where TDbContext : DbContext
{
    public Task Send<T>(ConsumeContext<T> context, OutboxConsumeOptions options, IPipe<OutboxConsumeContext<T>> next)
        where T : class => ConsumerOutboxPipe.SendAsync(outbox, context, options, withInbox: false, next);

    public void Probe(ProbeContext context) => context.CreateFilterScope("postgresOutboxWithoutInbox");
}

static class ConsumerOutboxPipe
{
    public static async Task SendAsync<TDbContext, T>(
        ConsumerOutbox<TDbContext> outbox, ConsumeContext<T> context, OutboxConsumeOptions options, bool withInbox, IPipe<OutboxConsumeContext<T>> next)
        where TDbContext : DbContext
        where T : class
    {
        var started = Stopwatch.GetTimestamp();
        if (await outbox.RunAsync(context, options, withInbox, inside => OutboxBypass.WatchAsync(() => next.Send(inside))))
            return;

        // Nobody consumed it, and without this word MassTransit would call it skipped.
        await context.NotifyConsumed(Stopwatch.GetElapsedTime(started), options.ConsumerType ?? typeof(T).Name);
    }
}
