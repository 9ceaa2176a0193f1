using Api;
using Consumers.WorkLedger;
using Interop.OnnxRuntime;
using MassTransit;
using Messaging;
using Messaging.Postgres;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using Sagas.Persistence;

namespace Standalone;

/// <summary>All hosts in one process: one list of what the platform is made of.</summary>
static class Platform
{
    public static void AddPlatform(this WebApplicationBuilder builder)
    {
        builder.Services.AddDbContextPool<PlatformDbContext>((services, db) => db.UseNpgsql(services.GetRequiredService<NpgsqlDataSource>()));
        Consumers.BatchInference.PipelineRegistration.AddBatchInference(builder.Services, alone: true);
        builder.AddMessaging(bus =>
        {
            bus.AddPostgresMessaging<PlatformDbContext>();
            bus.AddWorkLedger();
            Consumers.BatchInference.PipelineRegistration.AddBatchInference(bus);
            GpuWorker.Inference.InferenceRegistration.AddInference(bus);
            GpuWorker.BatchInference.PipelineRegistration.AddBatchInference(bus);
        });
        builder.Services.AddWorkLedger();
        GpuWorker.Inference.InferenceRegistration.AddInference(builder.Services);
        GpuWorker.BatchInference.PipelineRegistration.AddBatchInference(builder.Services);
        builder.AddApi();
        builder.Services.AddSingleton(services => OnnxRuntimeVersion(services.GetRequiredService<OnnxEnvironment>()));
    }

    // The library is loaded when its environment is made, and knows its version then.
    static PartVersion OnnxRuntimeVersion(OnnxEnvironment _) => new("ONNX Runtime", $"{OnnxLibrary.Version}");

    /// <summary>Tables first: everything else, from recovery to the first request, needs them.</summary>
    public static async Task StartPlatformAsync(this WebApplication app)
    {
        app.MapApi();
        await using (var scope = app.Services.CreateAsyncScope())
            await scope.ServiceProvider.GetRequiredService<PlatformDbContext>().Database.MigrateAsync();
        await app.StartAsync();
    }
}
