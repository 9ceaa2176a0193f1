using MassTransit;
using Messaging;
using Messaging.Postgres;
using Microsoft.Extensions.DependencyInjection;
using Sagas.Persistence;
using Sagas.WorkLedger;

namespace Consumers.WorkLedger;

// Endpoint policy, one definition a consumer. A batch has no inbox: the ledger's WHERE is its deduplication, and a batch
// carries the id of one member only.

abstract class LedgerDefinition<TConsumer> : ConsumerDefinition<TConsumer> where TConsumer : class, IConsumer
{
    protected LedgerDefinition(string endpoint) => EndpointName = endpoint;

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator, IConsumerConfigurator<TConsumer> consumerConfigurator, IRegistrationContext context)
    {
        endpointConfigurator.UseFilter(new WakeDispatcherFilter(context.GetRequiredService<LedgerSignal>()));
        // Job rows are locked in the order of their ids.
        endpointConfigurator.UsePostgresOutbox<PlatformDbContext>(context, o => o.OneByOne = true);
    }
}

abstract class LedgerBatchDefinition<TConsumer, TMessage> : ConsumerDefinition<TConsumer>
    where TConsumer : class, IConsumer<Batch<TMessage>> where TMessage : class
{
    protected LedgerBatchDefinition(string endpoint) => EndpointName = endpoint;

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator, IConsumerConfigurator<TConsumer> consumerConfigurator, IRegistrationContext context)
    {
        endpointConfigurator.PrefetchCount = 400;
        endpointConfigurator.UseFilter(new WakeDispatcherFilter(context.GetRequiredService<LedgerSignal>()));
        endpointConfigurator.UsePostgresOutbox<PlatformDbContext>(context, o => o.WithoutInbox = true);
        consumerConfigurator.Options<BatchOptions>(o => o.SetMessageLimit(200).SetTimeLimit(TimeSpan.FromMilliseconds(5)).SetConcurrencyLimit(2));
    }
}

sealed class AdmitJobDefinition() : LedgerDefinition<AdmitJobConsumer>("work-admit");

sealed class StopWorkDefinition() : LedgerDefinition<StopWorkConsumer>("work-stop");

sealed class CheckWorkDefinition() : LedgerDefinition<CheckWorkConsumer>("work-check");

sealed class UnitHeartbeatDefinition : ConsumerDefinition<UnitHeartbeatConsumer>
{
    public UnitHeartbeatDefinition() => EndpointName = "work-heartbeat";

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator, IConsumerConfigurator<UnitHeartbeatConsumer> consumerConfigurator, IRegistrationContext context)
    {
        // A lost heartbeat is followed by the next: no inbox, no outbox. It waits while the database is away, for that is not its fault.
        endpointConfigurator.PrefetchCount = 400;
        endpointConfigurator.UseTransientRetry();
        consumerConfigurator.Options<BatchOptions>(o => o.SetMessageLimit(200).SetTimeLimit(TimeSpan.FromMilliseconds(5)).SetConcurrencyLimit(1));
    }
}

sealed class WorkerAliveDefinition : ConsumerDefinition<WorkerAliveConsumer>
{
    public WorkerAliveDefinition() => EndpointName = "work-workers";

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator, IConsumerConfigurator<WorkerAliveConsumer> consumerConfigurator, IRegistrationContext context) =>
        endpointConfigurator.UseTransientRetry();
}
