using Artifacts;
using GpuWorker;
using GpuWorker.Inference.Inspection;
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
    var builder = HostProcess.CreateBuilder(args, port: 8082);
    builder.AddHealthOnly();
    builder.AddBrokerMessaging(bus =>
    {
        bus.AddWorker();
        bus.ConfigureHealthCheckOptions(check => check.Tags.Add(Health.Needed));
    });
    builder.Services.AddSharedArtifacts();
    builder.Services.AddWorker();

    await using var app = builder.Build();
    app.UseHealthOnly();
    app.MapHealth();
    var broker = app.Services.GetRequiredService<BrokerAccess>();
    await app.RunToEndAsync();
    return broker.IsRefused ? 1 : 0;
}
catch (Exception e) when (e is OptionsValidationException or MessagingConfigurationException or NativePartMissingException or IOException)
{
    await Console.Error.WriteLineAsync(e.Message);
    return 1;
}
