using Contracts.OnlineScoring;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;

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

    /// <summary>For a worker in a process of its own; in one process with the API nobody needs HTTP between the two.</summary>
    public static void MapOnlineScoring(this WebApplication app) => app.MapWorkerScoring();
}
