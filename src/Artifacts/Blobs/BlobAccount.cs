using Azure;
using Azure.Core;
using Azure.Identity;
using Azure.Storage.Blobs;
using Azure.Storage.Blobs.Models;

namespace Artifacts.Blobs;

/// <summary>One configured account and the only credential that is ever sent to it.</summary>
sealed class BlobAccount
{
    readonly BlobServiceClient service;
    readonly string sas;

    /// <exception cref="FormatException">The connection string cannot be read.</exception>
    public BlobAccount(string name, BlobAccountOptions options)
    {
        Name = name;
        sas = options.SasToken.TrimStart('?');
        service = options switch
        {
            { ConnectionString.Length: > 0 } => new BlobServiceClient(options.ConnectionString, ClientOptions()),
            { SasToken.Length: > 0 } => new BlobServiceClient(new Uri(options.Endpoint), new AzureSasCredential(sas), ClientOptions()),
            _ => new BlobServiceClient(new Uri(options.Endpoint), Identity(options.Identity), ClientOptions()),
        };
        Endpoint = service.Uri;
        Segments = Endpoint.AbsolutePath.Split('/', StringSplitOptions.RemoveEmptyEntries);
    }

    public string Name { get; }

    public Uri Endpoint { get; }

    /// <summary>Of the endpoint's path: Azurite has the account's name there.</summary>
    public IReadOnlyList<string> Segments { get; }

    public BlobContainerClient Container(string container) => service.GetBlobContainerClient(container);

    public BlobClient Blob(BlobPlace place) => Container(place.Container).GetBlobClient(place.Name);

    /// <summary>As a source of a copy within the account: a shared access signature does not hold for the source by itself.</summary>
    public Uri Source(BlobPlace place) => sas.Length == 0 ? Blob(place).Uri : new UriBuilder(Blob(place).Uri) { Query = sas }.Uri;

    public bool Serves(RemoteUri uri) =>
        uri.Scheme == Endpoint.Scheme && uri.Authority == Endpoint.Authority && uri.Segments.Take(Segments.Count).SequenceEqual(Segments);

    // Nothing later is used, and emulators and some clouds are behind.
    static BlobClientOptions ClientOptions() => new(BlobClientOptions.ServiceVersion.V2023_01_03)
    {
        Retry = { Mode = RetryMode.Exponential, Delay = TimeSpan.FromMilliseconds(400), MaxDelay = TimeSpan.FromSeconds(5), MaxRetries = 4, NetworkTimeout = TimeSpan.FromSeconds(30) },
        Diagnostics = { IsLoggingContentEnabled = false },
    };

    static DefaultAzureCredential Identity(string identity)
    {
        var client = identity == "default" ? null : identity;
        return new DefaultAzureCredential(new DefaultAzureCredentialOptions { ManagedIdentityClientId = client, WorkloadIdentityClientId = client });
    }
}

/// <param name="Name">As the service knows it; empty for the container itself.</param>
sealed record BlobPlace(BlobAccount Account, string Container, string Name)
{
    /// <summary>In full, whatever the caller's way to say it.</summary>
    public string Uri => FileUri.Append(Account.Endpoint.AbsoluteUri, [Container, .. Name.Split('/', StringSplitOptions.RemoveEmptyEntries)]);

    /// <summary>Within the account.</summary>
    public string Path => $"{Container}/{Name}".TrimEnd('/');

    public string FileName => Name[(Name.LastIndexOf('/') + 1)..];

    public BlobClient Client => Account.Blob(this);
}
