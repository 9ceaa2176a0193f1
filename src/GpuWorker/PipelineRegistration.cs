using GpuWorker.BatchInference;
using GpuWorker.Inference;
using GpuWorker.OnlineScoring;
using MassTransit;
using Microsoft.Extensions.DependencyInjection;

namespace GpuWorker;

/// <summary>What computes. The host brings the bus.</summary>
public static class PipelineRegistration
{
    public static IServiceCollection AddWorker(this IServiceCollection services)
    {
        services.AddInference();
        services.AddBatchInference();
        services.AddOnlineScoring();
        services.AddPinnedModels();
        services.AddSingleton<WorkerHeartbeat>();
        services.AddHostedService(provider => provider.GetRequiredService<WorkerHeartbeat>());
        return services;
    }

    public static void AddWorker(this IBusRegistrationConfigurator bus)
    {
        bus.AddInference();
        bus.AddBatchInference();
        bus.AddPinnedModels();
    }
}
