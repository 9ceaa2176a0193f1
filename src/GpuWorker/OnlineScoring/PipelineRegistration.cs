using Contracts.OnlineScoring;
using MassTransit;
using Messaging;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using ServiceDefaults;

namespace GpuWorker.OnlineScoring;

public static class PipelineRegistration
{
    const int ShortestKey = 32;

    public static IServiceCollection AddOnlineScoring(this IServiceCollection services)
    {
        services.AddOptions<OnlineScoringOptions>().BindConfiguration(OnlineScoringOptions.Section).ValidateDataAnnotations().ValidateOnStart();
        services.AddOptions<WorkerAccessOptions>().BindConfiguration(WorkerAccessOptions.Section)
            .Validate(access => access.Key.Length is 0 or >= ShortestKey, $"Workers:Key must have at least {ShortestKey} characters.").ValidateOnStart();
        services.AddSingleton<OnlineScorer>();
        services.AddSingleton<ScoreEndpoint>();
        return services;
    }

    /// <summary>The models of <c>Inference:Pinned</c>, for a worker on the bus. Needs <see cref="AddOnlineScoring"/>.</summary>
    public static IServiceCollection AddPinnedModels(this IServiceCollection services)
    {
        services.AddSingleton<PinnedModels>();
        services.AddHostedService(provider => provider.GetRequiredService<PinnedModels>());
        services.AddHealthChecks().AddCheck<PinnedModelsTried>("warm-up", tags: [Health.Needed]).AddCheck<PinnedModelsOpen>("pinned-models");
        return services;
    }

    public static void AddPinnedModels(this IBusRegistrationConfigurator bus) =>
        bus.AddConsumer<ModelUpdateConsumer, ModelUpdateDefinition>().Endpoint(endpoint => endpoint.OfThisProcess("pinned-models"));

    /// <summary>For a worker in a process of its own; in one process with the API nobody needs HTTP between the two.</summary>
    public static void MapOnlineScoring(this WebApplication app) => app.MapWorkerScoring();
}
