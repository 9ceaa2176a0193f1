using Api;
using Api.OnlineScoring;
using Consumers;
using GpuWorker;
using Interop.OnnxRuntime;
using Messaging;
using Messaging.Postgres;
using Sagas.Persistence;

namespace Standalone;

/// <summary>All hosts in one process: one list of what the platform is made of.</summary>
static class Platform
{
    public static void AddPlatform(this WebApplicationBuilder builder, string connectionString)
    {
        builder.Services.AddPlatformDatabase(_ => PlatformDatabase.Open(connectionString, "Sagas.Standalone"));
        // Before the bus: what it recovers must be in the outbox when the bus starts.
        builder.Services.AddConsumers(alone: builder.IsAlone());
        builder.AddMessaging(bus =>
        {
            bus.AddPostgresMessaging<PlatformDbContext>();
            bus.AddConsumers();
            bus.AddWorker();
            bus.AddApi(builder.Configuration);
        });
        builder.Services.AddWorker();
        builder.Services.AddSingleton<IWorkerScoring, WorkerInProcess>();
        builder.AddApi();
        builder.Services.AddSingleton(services => OnnxRuntimeVersion(services.GetRequiredService<OnnxEnvironment>()));
    }

    // The library is loaded when its environment is made, and knows its version then.
    static PartVersion OnnxRuntimeVersion(OnnxEnvironment _) => new("ONNX Runtime", $"{OnnxLibrary.Version}");

    /// <summary>Tables first: everything else, from recovery to the first request, needs them.</summary>
    public static async Task StartPlatformAsync(this WebApplication app)
    {
        app.MapApi();
        await app.Services.GetRequiredService<PlatformDatabase>().MigrateAsync();
        await app.StartAsync();
    }
}
