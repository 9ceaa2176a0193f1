using Artifacts.Blobs;
using Artifacts.Web;

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

    /// <summary>
    /// Where registered models are kept, each tenant's below its <c>@{tenant}</c>: a folder, or <c>az://container/prefix</c>, or that
    /// of an account in full. A container must be among the home tenant's <see cref="BlobTenantOptions.Models"/>. Default: empty, none.
    /// </summary>
    public string ModelsRoot { get; set; } = "";

    /// <summary>Largest CSV or NDJSON file, in bytes: one conversion must fit in one unit of work. Default: 4 GiB.</summary>
    public long MaxTextFileBytes { get; set; } = 4L << 30;

    /// <summary>Azure Storage accounts. Default: none.</summary>
    public BlobOptions Blob { get; set; } = new();

    /// <summary>Hosts whose files may be scored over http and https. Default: none.</summary>
    public WebOptions Http { get; set; } = new();

    /// <summary>
    /// Where copies of blobs and of files from other hosts lie while they are read. Several processes of one user may share it. Needed with
    /// <see cref="Blob"/> or <see cref="Http"/>. Default: empty, none.
    /// </summary>
    public string CacheFolder { get; set; } = "";

    /// <summary>Most bytes of copies, and so of one input file. Results on their way out come on top. Default: 20 GiB.</summary>
    public long CacheBytes { get; set; } = 20L << 30;

    /// <summary>Whose the folders are that name no tenant. The setting is <c>Tenancy:Home</c>. Default: <c>local</c>.</summary>
    public string HomeTenant { get; set; } = "local";

    internal bool HasRemotes => Blob.Accounts.Count > 0 || Http.Hosts.Length > 0;
}

public sealed class TenantArtifactOptions
{
    /// <summary>Folders whose files this tenant may have scored. Default: none.</summary>
    public string[] InputRoots { get; set; } = [];
}
