namespace Artifacts;

/// <summary>Where this platform may read and write. What lies outside does not exist for it.</summary>
public sealed class ArtifactOptions
{
    public const string Section = "Artifacts";

    /// <summary>Folders whose files may be scored. Default: none, so every input is refused.</summary>
    public string[] InputRoots { get; set; } = [];

    /// <summary>Folders under which results may be written. Default: none.</summary>
    public string[] OutputRoots { get; set; } = [];

    /// <summary>Folder of the registered models' files. Default: empty, none.</summary>
    public string ModelsRoot { get; set; } = "";

    /// <summary>Largest CSV or NDJSON file, in bytes: one conversion must fit in one unit of work. Default: 4 GiB.</summary>
    public long MaxTextFileBytes { get; set; } = 4L << 30;
}
