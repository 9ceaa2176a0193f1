using System.Security.Cryptography;
using System.Text;
using MassTransit;
using MassTransit.Middleware;
using Messaging.Postgres.Outbox;
using Microsoft.EntityFrameworkCore;

namespace Messaging.Postgres;

/// <summary>
/// For consumers whose work takes long or touches more than PostgreSQL: they do it first, with no transaction open, and then bring inbox,
/// result and messages into one short transaction. A twin of the message costs the work again, but has no second effect.
/// Their endpoints do not use <c>UsePostgresOutbox</c>.
/// </summary>
public sealed class ConsumeTransaction<TDbContext>
    where TDbContext : DbContext
{
    readonly TDbContext _db;
    readonly ConsumerOutbox<TDbContext> _outbox;

    internal ConsumeTransaction(TDbContext db, ConsumerOutbox<TDbContext> outbox) => (_db, _outbox) = (db, outbox);

    /// <summary>Runs the body once per message and endpoint. What it changes in the DbContext is saved; what it sends through the context
    /// it is given goes out after the commit.</summary>
    /// <returns>False: a duplicate, the body did not run.</returns>
    public async Task<bool> RunAsync<T>(ConsumeContext<T> context, Func<TDbContext, ConsumeContext<T>, CancellationToken, Task> body)
        where T : class
    {
        if (context.TryGetPayload<IOutboxTransaction>(out _))
            throw new InvalidOperationException("The message is in a transaction already: leave UsePostgresOutbox out of the endpoint");

        var options = new OutboxConsumeOptions { ConsumerId = ConsumerId<T>(context.ReceiveContext.InputAddress), ConsumerType = typeof(T).Name };
        return await _outbox.RunAsync(context, options, OutboxMode.OneByOne, async outbox =>
        {
            await OutboxBypass.WatchAsync(() => body(_db, outbox, context.CancellationToken));
            outbox.Seal();
        });
    }

    static Guid ConsumerId<T>(Uri endpoint)
    {
        var name = $"{endpoint.AbsolutePath.TrimStart('/')} {typeof(T).FullName}";
        return new Guid(SHA256.HashData(Encoding.UTF8.GetBytes(name)).AsSpan(0, 16));
    }
}
