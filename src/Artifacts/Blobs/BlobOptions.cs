namespace Artifacts.Blobs;

/// <summary>Which Azure Storage accounts there are, and what in them is whose.</summary>
public sealed class BlobOptions
{
    /// <summary>The account that <c>az://container/name</c> means. Default: the only one there is.</summary>
    public string DefaultAccount { get; set; } = "";

    /// <summary>By a name of the operator's choice. Default: none, so every blob is refused.</summary>
    public Dictionary<string, BlobAccountOptions> Accounts { get; set; } = [];
}

/// <summary>One account. Of <see cref="ConnectionString"/>, <see cref="SasToken"/> and <see cref="Identity"/> it has exactly one.</summary>
public sealed class BlobAccountOptions
{
    /// <summary>
    /// E.g. <c>https://name.blob.core.windows.net</c>, or <c>http://127.0.0.1:10000/devstoreaccount1</c>. Only on this machine may it be
    /// http. Default: what the connection string says.
    /// </summary>
    public string Endpoint { get; set; } = "";

    /// <summary>With the account's key. Give it as <c>@File(…)</c> or <c>@Microsoft.KeyVault(…)</c>.</summary>
    public string ConnectionString { get; set; } = "";

    /// <summary>Of a shared access signature, without the question mark.</summary>
    public string SasToken { get; set; } = "";

    /// <summary>This machine's managed or workload identity: <c>default</c>, or the client id of one of several.</summary>
    public string Identity { get; set; } = "";

    /// <summary>What in it is whose, by tenant. Default: nothing.</summary>
    public Dictionary<string, BlobTenantOptions> Tenants { get; set; } = [];
}

/// <summary>Each place is <c>container</c> or <c>container/prefix</c>; a prefix ends where a name ends.</summary>
public sealed class BlobTenantOptions
{
    /// <summary>What this tenant may have scored.</summary>
    public string[] Inputs { get; set; } = [];

    /// <summary>Where its results may be written.</summary>
    public string[] Outputs { get; set; } = [];

    /// <summary>Where its models may lie. The home tenant's hold <see cref="ArtifactOptions.ModelsRoot"/>, if that is in a container.</summary>
    public string[] Models { get; set; } = [];
}
