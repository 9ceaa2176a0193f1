using MassTransit;
using MassTransit.Context;
using MassTransit.Middleware;
using MassTransit.Middleware.Outbox;
using MassTransit.Scheduling;
using MassTransit.Transports;
using Messaging.Postgres.Outbox;
using Npgsql;

namespace Messaging.Postgres.Scheduling;

/// <summary>
/// Gives every consumer the scheduler of its transaction. Outside one, as in a redelivery after a rollback, schedules are written at once,
/// in a transaction of their own.
/// </summary>
sealed class OutboxSchedulerFilter(NpgsqlDataSource dataSource, OutboxWakeUp wakeUp, TimeProvider clock, IServiceProvider provider) : IFilter<ConsumeContext>
{
    public Task Send(ConsumeContext context, IPipe<ConsumeContext> next)
    {
        context.GetOrAddPayload<MessageSchedulerContext>(() => new ConsumeMessageSchedulerContext(context, Create));
        return next.Send(context);
    }

    public void Probe(ProbeContext context) => context.CreateFilterScope("outboxScheduler");

    MessageScheduler Create(ConsumeContext context) => new MessageScheduler(ProviderFor(context), context.GetPayload<IBusTopology>());

    OutboxScheduleProvider ProviderFor(ConsumeContext context)
    {
        if (context.TryGetPayload(out IOutboxTransaction? transaction))
        {
            return new OutboxScheduleProvider(context, (token, _) =>
            {
                transaction.CancelSchedule(token);
                return Task.CompletedTask;
            });
        }

        var direct = new DirectOutbox(dataSource, wakeUp, clock, provider);
        return new OutboxScheduleProvider(new OutboxSendEndpointProvider(direct, context), direct.CancelAsync);
    }
}

/// <summary>Writes each message at once.</summary>
sealed class DirectOutbox(NpgsqlDataSource dataSource, OutboxWakeUp wakeUp, TimeProvider clock, IServiceProvider provider) : OutboxSendContext
{
    public async Task AddSend<T>(SendContext<T> context)
        where T : class
    {
        OutboxMessage[] messages = [context.ToOutboxMessage(clock)];
        await using var connection = await dataSource.OpenConnectionAsync(context.CancellationToken);
        await OutboxTable.WriteAsync(connection, [], messages, context.CancellationToken);
        wakeUp.Scheduled(messages, clock);
    }

    public async Task CancelAsync(Guid tokenId, CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await OutboxTable.WriteAsync(connection, [tokenId], [], cancellationToken);
    }

    public object? GetService(Type serviceType) => provider.GetService(serviceType);
}
