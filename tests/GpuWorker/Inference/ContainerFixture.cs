using System.Security.Cryptography;
using Artifacts;
using Azure.Storage.Blobs;
using Contracts;
using Support;

namespace GpuWorker.Tests.Inference;

/// <summary>Models in a container of their own, and a way to it that can be cut.</summary>
public sealed class ContainerFixture : IAsyncLifetime
{
    readonly AzuriteServer _azurite = new();
    readonly TestFolder _folder = new();

    public Relay Relay { get; private set; } = null!;

    public BlobContainerClient Container { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        await _azurite.InitializeAsync();
        Container = await _azurite.Process.CreateContainerAsync();
        Relay = new Relay(new Uri(_azurite.Process.Endpoint()));
    }

    public Task DisposeAsync()
    {
        Relay.Dispose();
        _folder.Dispose();
        return Task.CompletedTask;
    }

    public string Folder(string name) => _folder[name];

    /// <summary>What a worker with a cache of its own is told.</summary>
    public void Configure(ArtifactOptions options, string cache)
    {
        options.Blob.Accounts["lake"] = new()
        {
            ConnectionString = _azurite.Process.ConnectionString().Replace($":{new Uri(_azurite.Process.Endpoint()).Port}/", $":{Relay.Port}/", StringComparison.Ordinal),
            Tenants = new() { ["local"] = new() { Models = [$"{Container.Name}/models"] } },
        };
        options.ModelsRoot = $"az://{Container.Name}/models";
        options.CacheFolder = _folder[cache];
    }

    /// <summary>As the API registers it.</summary>
    public async Task<ModelRef> AddAsync(byte[] model, params (string Name, byte[] Bytes)[] others)
    {
        ModelFile[] files = [.. others.Prepend((Name: ModelFile.Model, Bytes: model)).Select(file => new ModelFile(file.Name, Sha256(file.Bytes), file.Bytes.Length))];
        var version = ModelFile.VersionOf(files[0].Sha256, files.Skip(1).Select(file => (file.Name, file.Sha256)));
        if (others.Length == 0)
            return new ModelRef("model", version, await PutAsync($"{version[..2]}/{version}.onnx", model));
        foreach (var (name, bytes) in others)
            await PutAsync($"{version[..2]}/{version}/{name}", bytes);
        await PutAsync($"{version[..2]}/{version}.sha256", ModelFile.ListOf(files));
        return new ModelRef("model", version, await PutAsync($"{version[..2]}/{version}/{ModelFile.Model}", model), files);
    }

    public async Task<AdapterRef> AddAdapterAsync(byte[] adapter) => new(await PutAsync($"{Sha256(adapter)[..2]}/{Sha256(adapter)}.onnx_adapter", adapter), Sha256(adapter));

    public BlobClient Blob(string uri) => Container.GetBlobClient(uri[$"az://{Container.Name}/".Length..]);

    public static string Sha256(byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    async Task<string> PutAsync(string name, byte[] bytes)
    {
        await Container.GetBlobClient($"models/@local/{name}").UploadAsync(new BinaryData(bytes), overwrite: true);
        return $"az://{Container.Name}/models/@local/{name}";
    }
}
