using System.Reflection;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using OpenTelemetry;
using OpenTelemetry.Logs;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;
using ServiceDefaults.Secrets;

namespace ServiceDefaults;

public static class Telemetry
{
    // A source or meter of ours is named as the project it is in.
    static readonly string[] Ours = ["Api*", "Consumers*", "GpuWorker*", "Messaging*", "Sagas*"];
    static readonly string[] Sources = [.. Ours, "MassTransit", "Npgsql", "Microsoft.AspNetCore", "System.Net.Http"];

    static readonly string[] Meters =
    [
        .. Ours, "MassTransit", "Npgsql", "System.Runtime", "System.Net.Http",
        "Microsoft.AspNetCore.Hosting", "Microsoft.AspNetCore.Server.Kestrel",
    ];

    // Standard OTEL_* variables: without an endpoint nothing is collected and nothing is paid for.
    internal static void AddTelemetry(this IHostApplicationBuilder builder)
    {
        if (Wanted("TRACES"))
            builder.Services.AddSingleton(_ => Traces(builder.Environment)).AddHostedService<Started<TracerProvider>>();
        if (Wanted("METRICS"))
            builder.Services.AddSingleton(_ => Metrics(builder.Environment)).AddHostedService<Started<MeterProvider>>();
        if (Wanted("LOGS"))
            builder.Logging.AddOpenTelemetry(logs => logs.SetResourceBuilder(Describe(builder.Environment)).AddProcessor(new RedactingProcessor()).AddOtlpExporter());

        bool Wanted(string signal) =>
            !string.IsNullOrEmpty(builder.Configuration["OTEL_EXPORTER_OTLP_ENDPOINT"] ?? builder.Configuration[$"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"]);
    }

    static TracerProvider Traces(IHostEnvironment host) =>
        Sdk.CreateTracerProviderBuilder().SetResourceBuilder(Describe(host)).AddSource(Sources).AddOtlpExporter().Build();

    static MeterProvider Metrics(IHostEnvironment host) =>
        Sdk.CreateMeterProviderBuilder().SetResourceBuilder(Describe(host)).AddMeter(Meters).AddOtlpExporter().Build();

    static ResourceBuilder Describe(IHostEnvironment host) =>
        ResourceBuilder.CreateDefault()
            .AddService(host.ApplicationName, "sagas", Assembly.GetEntryAssembly()?.GetName().Version?.ToString(), serviceInstanceId: $"{Environment.MachineName}-{Environment.ProcessId}")
            .AddAttributes([new("deployment.environment.name", host.EnvironmentName)])
            .AddEnvironmentVariableDetector();

    // A provider collects from its construction until its disposal: this asks for the first, the container does the second.
    sealed class Started<TProvider> : IHostedService
        where TProvider : BaseProvider
    {
        public Started(TProvider provider) => ArgumentNullException.ThrowIfNull(provider);

        public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
