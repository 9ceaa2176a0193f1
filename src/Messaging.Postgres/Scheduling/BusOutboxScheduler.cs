using MassTransit;
using MassTransit.DependencyInjection;
using MassTransit.Scheduling;
using Microsoft.EntityFrameworkCore;

namespace Messaging.Postgres.Scheduling;

static class BusOutboxScheduler
{
    /// <summary>The scheduler of a scope: the consumer's inside a message, else one that writes through the scope's DbContext.</summary>
    public static IMessageScheduler Create<TDbContext>(
        TDbContext db, IBus bus, IScopedBusContextProvider<IBus> scope, ScopedConsumeContextProvider consuming)
        where TDbContext : DbContext
    {
        if (consuming.HasContext)
            return consuming.GetContext().GetPayload<MessageSchedulerContext>();

        var provider = new OutboxScheduleProvider(scope.Context.SendEndpointProvider, (token, cancellationToken) =>
            db.Database.ExecuteSqlAsync($"DELETE FROM messaging.outbox WHERE token_id = {token}", cancellationToken));
        return new MessageScheduler(provider, bus.Topology);
    }
}
