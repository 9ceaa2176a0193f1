using Interop.OnnxRuntime;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace GpuWorker.Inference;

/// <summary>Which of the execution providers that were asked for can be used on this machine, tried once with a small model.</summary>
public sealed partial class Devices(OnnxEnvironment environment, IOptions<InferenceOptions> options, ILogger<Devices> logger)
{
    readonly Lazy<IReadOnlyList<OnnxProviderRefusal>> refused = new(() =>
    {
        var found = new List<OnnxProviderRefusal>();
        foreach (var provider in options.Value.EffectiveProviders)
        {
            if (provider.WhyNot(environment) is { } reason)
                found.Add(new OnnxProviderRefusal(provider.Name, reason));
        }
        foreach (var refusal in found)
            LogRefused(logger, refusal.Provider, refusal.Reason);
        return found;
    });

    /// <summary>Providers that were asked for and cannot be used here, and why.</summary>
    public IReadOnlyList<OnnxProviderRefusal> Refused => refused.Value;

    /// <summary>Whether a device beside the CPU was asked for and works.</summary>
    public bool IsGpuAvailable => options.Value.EffectiveProviders.Any(provider => !provider.IsCpu && Refused.All(refusal => refusal.Provider != provider.Name));

    [LoggerMessage(LogLevel.Warning, "{Provider} cannot be used here: {Reason}")]
    static partial void LogRefused(ILogger logger, string provider, string reason);
}
