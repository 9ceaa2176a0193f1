using Artifacts;
using Interop.DuckDb;
using MassTransit;
using Messaging;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using ServiceDefaults;

namespace GpuWorker.BatchInference;

public static class PipelineRegistration
{
    /// <summary>Broadcasts reach each worker on a queue of its own, which goes when the worker does.</summary>
    public const string StopEndpoint = "stop-job";

    public static IServiceCollection AddBatchInference(this IServiceCollection services)
    {
        DuckDbLibrary.Load(NativeParts.DuckDb());
        services.AddOptions<GpuWorkerOptions>().BindConfiguration(GpuWorkerOptions.Section).ValidateDataAnnotations()
            .Validate(worker => worker.Address.Length == 0 || Uri.TryCreate(worker.Address, UriKind.Absolute, out _), "GpuWorker:Address must be a URL.").ValidateOnStart();
        services.AddArtifacts();
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<WorkerIdentity>();
        services.AddSingleton<RunningUnits>();
        services.AddSingleton<ScoringDatabases>();
        services.AddSingleton<ShardScorer>();
        services.AddSingleton<FileConverter>();
        services.AddSingleton<UnitRunner>();
        services.AddSingleton<UnitHeartbeats>();
        services.AddHostedService(provider => provider.GetRequiredService<UnitHeartbeats>());
        return services;
    }

    public static IBusRegistrationConfigurator AddBatchInference(this IBusRegistrationConfigurator bus)
    {
        bus.AddConsumer<ScoreShardConsumer, ScoreShardConsumerDefinition>();
        bus.AddConsumer<ConvertFileConsumer, ConvertFileConsumerDefinition>();
        bus.AddConsumer<StopJobConsumer>().Endpoint(endpoint => endpoint.OfThisProcess(StopEndpoint));
        return bus;
    }
}
