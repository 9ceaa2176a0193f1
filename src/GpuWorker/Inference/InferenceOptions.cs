using System.ComponentModel.DataAnnotations;
using Interop.OnnxRuntime;

namespace GpuWorker.Inference;

public sealed class InferenceOptions
{
    public const string Section = "Inference";

    /// <summary>Path of libonnxruntime. Default: empty, found as <c>ServiceDefaults.NativeParts</c> finds it.</summary>
    public string LibraryPath { get; set; } = "";

    /// <summary>Execution providers by preference: <c>CUDA</c>, <c>WebGPU</c>, <c>CPU</c>; the first that can serve a model is taken. Default: empty, the CPU.</summary>
    public string[] Providers { get; set; } = [];

    // A list that is not empty would be added to, not replaced, by what is configured.
    internal IReadOnlyList<OnnxProvider> EffectiveProviders => Providers.Length == 0 ? [OnnxProvider.Cpu] : [.. Providers.Select(name => new OnnxProvider(name))];

    /// <summary>
    /// Whether a model on another device may leave some of its operators to the CPU. False refuses the device to a model that would need
    /// that, and the next provider is tried. Default: true.
    /// </summary>
    public bool CpuFallback { get; set; } = true;

    /// <summary>Most memory that all models together may use for their runs on the CPU, in MiB. Default: 0, no limit.</summary>
    [Range(0, 1_048_576)]
    public int ArenaMegabytes { get; set; }

    /// <summary>Models kept open while nobody uses them. Default: 8.</summary>
    [Range(1, 1000)]
    public int MaxWarmModels { get; set; } = 8;

    /// <summary>Memory of models kept open while nobody uses them, in MiB. Default: 0, a quarter of what the process may use.</summary>
    [Range(0, 16_777_216)]
    public int MaxWarmMegabytes { get; set; }

    /// <summary>
    /// Models of the registry that are opened when the worker starts, stay open, and are followed to newer versions: each <c>name</c> (the
    /// version registered last), <c>name@alias</c> or <c>name@sha256</c>, with <c>tenant/</c> in front where it is another tenant's than the
    /// home tenant's. Default: none.
    /// </summary>
    public string[] Pinned { get; set; } = [];

    /// <summary>How long a starting worker waits for its pinned models before it calls itself ready without them, in seconds. Default: 60.</summary>
    [Range(1, 3600)]
    public int PinnedSeconds { get; set; } = 60;

    /// <summary>How often it is asked again which versions the pinned models are, in seconds: the word of a new one may be lost. Default: 60.</summary>
    [Range(1, 3600)]
    public int PinnedLookSeconds { get; set; } = 60;

    internal long EffectiveWarmBytes => MaxWarmMegabytes > 0 ? MaxWarmMegabytes * 1024L * 1024 : GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 4;

    /// <summary>Largest model file, in bytes. ONNX itself allows 2 GiB. Default: 2 GiB less one.</summary>
    [Range(1, int.MaxValue)]
    public long MaxModelBytes { get; set; } = int.MaxValue;

    /// <summary>How long a dry run may take before the model is refused, in seconds. Default: 20.</summary>
    [Range(1, 600)]
    public int DryRunSeconds { get; set; } = 20;

    /// <summary>Memory that a model may take when it is tried, in MiB, 64 to 1,048,576. Default: 4096.</summary>
    [Range(64, 1_048_576)]
    public int InspectMemoryMegabytes { get; set; } = 4096;

    /// <summary>Where models are copied to be tried, and gone afterwards. Default: empty, the system's folder for temporary files.</summary>
    public string InspectFolder { get; set; } = "";
}
