using Artifacts;
using Consumers.WorkLedger;
using MassTransit;
using Microsoft.Extensions.DependencyInjection;
using Sagas.BatchInference;

namespace Consumers.BatchInference;

public static class PipelineRegistration
{
    /// <param name="alone">No other process shares the database and the bus: what was in flight when the last one ended is free at once.</param>
    public static IServiceCollection AddBatchInference(this IServiceCollection services, bool alone)
    {
        services.AddOptions<BatchSagaOptions>().BindConfiguration(BatchSagaOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.AddArtifacts();
        services.AddSingleton(BatchWork.WorkKind);
        services.AddSingleton<InputPlanner>();
        services.AddSingleton<ResultPublisher>();
        services.AddScoped<PlanLedger>();
        if (alone)
            services.AddHostedService<BatchRecovery>();
        services.AddHostedService<LostJobs>();
        services.AddHostedService<JobMetrics>();
        return services;
    }

    public static void AddBatchInference(this IBusRegistrationConfigurator bus)
    {
        bus.AddSagaStateMachine<BatchJobStateMachine, BatchJobState, BatchJobStateDefinition>();
        bus.AddConsumer<PlanBatchJobConsumer, PlanBatchJobDefinition>();
        bus.AddConsumer<CommitConversionsConsumer, CommitConversionsDefinition>();
        bus.AddConsumer<CommitShardsConsumer, CommitShardsDefinition>();
        bus.AddConsumer<ShardFailedConsumer, ShardFailedDefinition>();
        bus.AddConsumer<PublishResultsConsumer, PublishResultsDefinition>();
        bus.AddConsumer<CleanUpWorkConsumer, CleanUpWorkDefinition>();
        bus.AddConsumer<AnnounceJobConsumer, AnnounceJobDefinition>();
    }
}
