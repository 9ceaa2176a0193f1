using Contracts;
using Interop.OnnxRuntime;
using MassTransit;
using Messaging;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using ServiceDefaults;

namespace GpuWorker.Inference;

public static partial class InferenceRegistration
{
    /// <summary>ONNX Runtime, the models it has open, and the inspection of new ones. Needs <c>AddArtifacts</c>.</summary>
    public static IServiceCollection AddInference(this IServiceCollection services)
    {
        services.AddOptions<InferenceOptions>().BindConfiguration(InferenceOptions.Section).ValidateDataAnnotations()
            .Validate(inference => inference.Pinned.All(name => TenantModel.TryParse(name) is not null), $"Inference:Pinned has a name that is none of a model. {TenantModel.Rule}")
            .Validate(inference => inference.Pinned.Length <= FindModels.Most, $"Inference:Pinned has more than {FindModels.Most} names.").ValidateOnStart();
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton(CreateEnvironment);
        services.AddSingleton<Devices>();
        services.AddSingleton<ModelCache>();
        services.AddSingleton<ModelInspector>();
        services.AddHostedService<DeviceMemory>();
        return services;
    }

    static OnnxEnvironment CreateEnvironment(IServiceProvider services)
    {
        var logger = services.GetRequiredService<ILoggerFactory>().CreateLogger("OnnxRuntime");
        OnnxLibrary.Load(NativeParts.OnnxRuntime(services.GetRequiredService<IOptions<InferenceOptions>>().Value.LibraryPath));
        LogLoaded(logger, OnnxLibrary.Version, OnnxLibrary.Path!);
        return new OnnxEnvironment(OnnxLogSeverity.Warning, message => LogNative(logger, Level(message.Severity), message.Text, message.Location),
            services.GetRequiredService<IOptions<InferenceOptions>>().Value.ArenaMegabytes * 1024L * 1024);
    }

    public static void AddInference(this IBusRegistrationConfigurator bus)
    {
        bus.AddConsumer<InspectModelConsumer>().Endpoint(endpoint => endpoint.Name = "inspect-model");
        bus.AddConsumer<ClearModelCacheConsumer>().Endpoint(endpoint => endpoint.OfThisProcess("clear-model-cache"));
    }

    // What ONNX Runtime calls an error also reaches the caller as an exception, who knows what it means.
    static LogLevel Level(OnnxLogSeverity severity) => severity >= OnnxLogSeverity.Error ? LogLevel.Warning : LogLevel.Debug;

    [LoggerMessage(LogLevel.Information, "ONNX Runtime {Version} from {Path}")]
    static partial void LogLoaded(ILogger logger, string version, string path);

    [LoggerMessage("{Text} ({Location})")]
    static partial void LogNative(ILogger logger, LogLevel level, string text, string location);
}
