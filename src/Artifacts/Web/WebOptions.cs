namespace Artifacts.Web;

/// <summary>From where inputs may be fetched over http and https, by any tenant. No credential is ever sent.</summary>
public sealed class WebOptions
{
    /// <summary>Default: none, so every such input is refused.</summary>
    public WebHostOptions[] Hosts { get; set; } = [];

    /// <summary>Largest file, in bytes. Default: 4 GiB.</summary>
    public long MaxBytes { get; set; } = 4L << 30;

    /// <summary>Largest content of a compressed text file, in bytes. Default: 16 GiB.</summary>
    public long MaxDecompressedBytes { get; set; } = 16L << 30;

    /// <summary>Most time until an answer begins, and between two pieces of it. Default: 30 s.</summary>
    public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(30);
}

public sealed class WebHostOptions
{
    /// <summary>As in the URI: <c>data.example.com</c>, or <c>data.example.com:8443</c> where the port is not the scheme's own.</summary>
    public string Name { get; set; } = "";

    /// <summary>Whether it may have an address that is not of the public internet. Default: no, so no name leads into the own network.</summary>
    public bool AllowPrivate { get; set; }
}
