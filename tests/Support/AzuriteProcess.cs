using System.Security.Cryptography;
using System.Text.RegularExpressions;
using Azure.Storage;
using Azure.Storage.Blobs;
using Azure.Storage.Sas;

namespace Support;

/// <summary>
/// Azure's own emulator of blob storage, in memory, in a process of its own, with two accounts whose keys nobody knew before.
/// </summary>
public sealed partial class AzuriteProcess : IAsyncDisposable
{
    public const string Account = "first";
    public const string OtherAccount = "second";

    readonly ListeningProcess _process;
    readonly Dictionary<string, string> _keys;
    Uri _address = null!;

    AzuriteProcess(ListeningProcess process, Dictionary<string, string> keys) => (_process, _keys) = (process, keys);

    public static async Task<AzuriteProcess> StartAsync()
    {
        var keys = new[] { Account, OtherAccount }.ToDictionary(name => name, _ => Convert.ToBase64String(RandomNumberGenerator.GetBytes(64)));
        // It ends with its input: the process that runs the tests may be killed.
        string[] command = ["node", "-e", "process.stdin.on('end', () => process.exit()).resume(); require(process.argv[1])", Script(), "--inMemoryPersistence", "--blobHost", "127.0.0.1", "--blobPort", "0", "--disableTelemetry", "--silent"];
        var process = ListeningProcess.Start(
            "Azurite", command, [new("AZURITE_ACCOUNTS", string.Join(';', keys.Select(k => $"{k.Key}:{k.Value}")))],
            line => Announcement().Match(line) is { Success: true } found ? new Uri(found.Groups[1].Value) : null);
        var azurite = new AzuriteProcess(process, keys);
        try
        {
            azurite._address = await process.Address.WaitAsync(TimeSpan.FromMinutes(1));
            return azurite;
        }
        catch
        {
            await azurite.DisposeAsync();
            throw;
        }
    }

    public int ProcessId => _process.ProcessId;

    public string Endpoint(string account = Account) => $"{_address.AbsoluteUri.TrimEnd('/')}/{account}";

    public string ConnectionString(string account = Account) =>
        $"DefaultEndpointsProtocol=http;AccountName={account};AccountKey={_keys[account]};BlobEndpoint={Endpoint(account)};";

    /// <summary>All rights on one container, for an hour from now.</summary>
    public string SasToken(string container, DateTimeOffset now, string account = Account) =>
        new BlobSasBuilder(BlobContainerSasPermissions.All, now.AddHours(1)) { BlobContainerName = container }
            .ToSasQueryParameters(new StorageSharedKeyCredential(account, _keys[account])).ToString();

    // Of the version that Azurite knows: the newest client asks for a newer one.
    public BlobServiceClient Client(string account = Account) => new(ConnectionString(account), new BlobClientOptions(BlobClientOptions.ServiceVersion.V2023_01_03));

    /// <summary>A fresh, empty container.</summary>
    public async Task<BlobContainerClient> CreateContainerAsync(string account = Account) =>
        await Client(account).CreateBlobContainerAsync($"c{Guid.CreateVersion7():n}");

    public ValueTask DisposeAsync() => _process.DisposeAsync();

    internal void Kill() => Signals.Send(ProcessId, Signals.Kill);

    static string Script()
    {
        for (var folder = AppContext.BaseDirectory; folder is not null; folder = Path.GetDirectoryName(folder))
            if (Path.Combine(folder, "node_modules", "azurite", "dist", "src", "blob", "main.js") is var script && File.Exists(script))
                return script;
        throw new FileNotFoundException("Azurite: run npm ci --ignore-scripts in the root of the clone.");
    }

    [GeneratedRegex(@"successfully listens on (http://[\d.:]+)")]
    private static partial Regex Announcement();
}
