using Artifacts;
using Contracts.OnlineScoring;
using GpuWorker;
using GpuWorker.Inference.Inspection;
using GpuWorker.OnlineScoring;
using MassTransit;
using Messaging;
using Messaging.Transports;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using ServiceDefaults;

if (InspectionProgram.IsAsked(args)) return InspectionProgram.Run(args);

try
{
    if (ModelServer.FolderOf(args) is { } folder)
    {
        await ModelServer.RunAsync(folder, args);
        return Environment.ExitCode;
    }

    var builder = HostProcess.CreateBuilder(args, port: 8082);
    builder.AddHealthOnly();
    builder.AddBrokerMessaging(bus =>
    {
        bus.AddWorker();
        bus.ConfigureHealthCheckOptions(check => check.Tags.Add(Health.Needed));
    });
    builder.Services.AddSharedArtifacts();
    builder.Services.AddWorker();
    builder.Services.AddSingleton<WorkerAddress>();

    await using var app = builder.Build();
    app.UseHealthOnly(ScoringHeaders.Path);
    app.MapProbes();
    WorkerHealth.Map(app);
    app.MapOnlineScoring();
    var broker = app.Services.GetRequiredService<BrokerAccess>();
    await app.RunToEndAsync();
    return broker.IsRefused ? 1 : 0;
}
catch (Exception e) when (e is OptionsValidationException or MessagingConfigurationException or NativePartMissingException or IOException)
{
    await Console.Error.WriteLineAsync(e.Message);
    return 1;
}
