using System.ComponentModel.DataAnnotations;

namespace GpuWorker.Inference;

public sealed class InferenceOptions
{
    public const string Section = "Inference";

    /// <summary>Path of libonnxruntime. Default: empty, found as <c>ServiceDefaults.NativeParts</c> finds it.</summary>
    public string LibraryPath { get; set; } = "";

    /// <summary>Execution providers by preference; the first that can serve a model is taken. Default: the CPU.</summary>
    [MinLength(1)]
    public string[] Providers { get; set; } = ["CPU"];

    /// <summary>Models kept open while nobody uses them. Default: 8.</summary>
    [Range(1, 1000)]
    public int MaxWarmModels { get; set; } = 8;

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
