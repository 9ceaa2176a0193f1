using Consumers.WorkLedger;
using Contracts.BatchInference;
using MassTransit;
using Messaging;
using Microsoft.Extensions.DependencyInjection;
using Sagas.WorkLedger;

namespace Consumers.BatchInference;

/// <summary>A consumer that touches files: it opens its own short transaction when it is done with them.</summary>
abstract class FileConsumerDefinition<TConsumer> : ConsumerDefinition<TConsumer> where TConsumer : class, IConsumer
{
    protected FileConsumerDefinition(string endpoint)
    {
        EndpointName = endpoint;
        ConcurrentMessageLimit = 4;
    }

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator, IConsumerConfigurator<TConsumer> consumerConfigurator, IRegistrationContext context)
    {
        endpointConfigurator.UseFilter(new WakeDispatcherFilter(context.GetRequiredService<LedgerSignal>()));
        endpointConfigurator.UseTransientRetry();
    }
}

sealed class PlanBatchJobDefinition() : FileConsumerDefinition<PlanBatchJobConsumer>("batch-plan");

sealed class PublishResultsDefinition() : FileConsumerDefinition<PublishResultsConsumer>("batch-publish");

sealed class CleanUpWorkDefinition() : FileConsumerDefinition<CleanUpWorkConsumer>("batch-clean-up");

sealed class CommitShardsDefinition() : LedgerBatchDefinition<CommitShardsConsumer, ShardScored>("batch-shards-scored");

sealed class CommitConversionsDefinition() : LedgerBatchDefinition<CommitConversionsConsumer, FileConverted>("batch-files-converted");

sealed class ShardFailedDefinition() : LedgerDefinition<ShardFailedConsumer>("batch-shards-failed");
