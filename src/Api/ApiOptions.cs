using System.ComponentModel.DataAnnotations;

namespace Api;

public sealed class ApiOptions
{
    public const string Section = "Api";

    /// <summary>Largest model file that may be uploaded or copied, in bytes. Default: 2 GiB, which is also the most an ONNX file can be.</summary>
    [Range(1, 1L << 40)]
    public long MaxModelBytes { get; init; } = 2L << 30;

    /// <summary>Largest sum of the further files in which a model keeps its weights, in bytes. Default: 8 GiB.</summary>
    [Range(1, 1L << 42)]
    public long MaxModelDataBytes { get; init; } = 8L << 30;

    /// <summary>Largest LoRA adapter, in bytes. Default: 1 GiB.</summary>
    [Range(1, 1L << 40)]
    public long MaxAdapterBytes { get; init; } = 1L << 30;

    /// <summary>
    /// Where uploads lie on this machine until they are in the container of the models. Several processes may share it. Not used where
    /// <c>Artifacts:ModelsRoot</c> is a folder: they come into that. Default: empty, <c>incoming</c> in <c>Artifacts:CacheFolder</c>.
    /// </summary>
    public string UploadFolder { get; set; } = "";

    /// <summary>How long a worker may take to open and try a model before the caller is told to come back. Default: 30 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00.100", "00:10:00")]
    public TimeSpan InspectTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Folder with a folder for each model that is registered at start, <c>{name}/model.onnx</c>. Default: empty, none.</summary>
    public string SampleModels { get; init; } = "";
}
