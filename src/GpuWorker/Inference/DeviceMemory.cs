using System.Diagnostics.Metrics;
using Interop.OnnxRuntime;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace GpuWorker.Inference;

/// <summary>
/// Tells how much memory of each device the open models hold, as ONNX Runtime's own allocators count it. An allocator that counts nothing
/// is not in the figure, and a device that has only such has none.
/// </summary>
sealed class DeviceMemory(ModelCache models, IOptions<InferenceOptions> options) : IHostedService, IDisposable
{
    readonly Meter meter = new("GpuWorker.Inference");

    public Task StartAsync(CancellationToken cancellationToken)
    {
        meter.CreateObservableGauge("device.memory.used", () => Read().Select(one => Measure(one.HeldBytes, one.Device)), "By", "Memory of a device that the open models hold");
        meter.CreateObservableGauge(
            "device.memory.limit", () => Read().Where(one => one.LimitBytes is not null).Select(one => Measure(one.LimitBytes!.Value, one.Device)), "By",
            "Most that they may hold, where each has a limit");
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public void Dispose() => meter.Dispose();

    /// <summary>Over all open models, by device.</summary>
    internal IReadOnlyList<OnnxMemory> Read() => [.. models.Sessions.SelectMany(Read).GroupBy(one => one.Device).Select(Together)];

    static IReadOnlyList<OnnxMemory> Read(ModelSession session)
    {
        try
        {
            return session.Onnx.ReadMemory();
        }
        catch (Exception e) when (e is ObjectDisposedException or OnnxException)
        {
            // Closed by now, or a provider that has no such figures.
            return [];
        }
    }

    OnnxMemory Together(IGrouping<string, OnnxMemory> device)
    {
        // With Inference:ArenaMegabytes all have the same one.
        if (device.Key == "Cpu" && options.Value.ArenaMegabytes > 0)
            return device.MaxBy(one => one.HeldBytes)!;
        return new OnnxMemory(device.Key, device.Sum(one => one.HeldBytes), device.All(one => one.LimitBytes is not null) ? device.Sum(one => one.LimitBytes) : null);
    }

    static Measurement<long> Measure(long bytes, string device) => new(bytes, new KeyValuePair<string, object?>("device", device));
}
