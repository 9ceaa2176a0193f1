using System.Reflection;
using System.Text.Json.Serialization;
using GpuWorker.Inference;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace GpuWorker;

/// <summary>What a worker says of itself, in these four fields and no others.</summary>
/// <param name="Status"><c>healthy</c>, or <c>degraded</c>: a check fails, or a device that was asked for cannot be used.</param>
/// <param name="GpuAvailable">A device beside the CPU was asked for and works.</param>
/// <param name="ModelLoaded">At least one model is open.</param>
public sealed record WorkerHealth(
    string Status, string Version, [property: JsonPropertyName("gpu_available")] bool GpuAvailable, [property: JsonPropertyName("model_loaded")] bool ModelLoaded)
{
    static readonly string Release = typeof(WorkerHealth).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown";

    internal static void Map(IEndpointRouteBuilder app) => app.MapGet("/health", AskAsync);

    static async Task<IResult> AskAsync(HealthCheckService checks, Devices devices, ModelCache models, CancellationToken cancellationToken)
    {
        var report = await checks.CheckHealthAsync(cancellationToken);
        var isHealthy = report.Status == HealthStatus.Healthy && devices.Refused.Count == 0;
        return TypedResults.Ok(new WorkerHealth(isHealthy ? "healthy" : "degraded", Release, devices.IsGpuAvailable, models.WarmModels.Count > 0));
    }
}
