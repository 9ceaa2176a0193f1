namespace Artifacts;

/// <summary>Where this platform may read and write. What lies outside does not exist for it.</summary>
public sealed class ArtifactOptions
{
    public const string Section = "Artifacts";

    /// <summary>Folders whose files the home tenant may have scored. Default: none, so every input is refused.</summary>
    public string[] InputRoots { get; set; } = [];

    /// <summary>What the other tenants may read, by tenant. Default: nothing.</summary>
    public Dictionary<string, TenantArtifactOptions> Tenants { get; set; } = [];

    /// <summary>
    /// Folders under which results may be written: by the home tenant anywhere but below another tenant's <c>@{tenant}</c>, by any
    /// other below its own <c>@{tenant}</c> alone. Default: none.
    /// </summary>
    public string[] OutputRoots { get; set; } = [];

    /// <summary>Folder of the registered models' files. Default: empty, none.</summary>
    public string ModelsRoot { get; set; } = "";

    /// <summary>Largest CSV or NDJSON file, in bytes: one conversion must fit in one unit of work. Default: 4 GiB.</summary>
    public long MaxTextFileBytes { get; set; } = 4L << 30;

    /// <summary>Whose the folders are that name no tenant. The setting is <c>Tenancy:Home</c>. Default: <c>local</c>.</summary>
    public string HomeTenant { get; set; } = "local";
}

public sealed class TenantArtifactOptions
{
    /// <summary>Folders whose files this tenant may have scored. Default: none.</summary>
    public string[] InputRoots { get; set; } = [];
}
