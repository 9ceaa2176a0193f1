using Microsoft.Extensions.Options;

namespace GpuWorker;

/// <summary>The worker's name in every message it sends.</summary>
public sealed class WorkerIdentity(IOptions<GpuWorkerOptions> options)
{
    public string Name { get; } = options.Value.WorkerName is { Length: > 0 } name
        ? name
        : $"{Environment.MachineName}-{Environment.ProcessId}-{Guid.CreateVersion7().ToString("n")[^6..]}";
}
