using System.Net.Http.Headers;
using System.Text;
using Azure.Storage.Blobs;
using Contracts.WorkLedger;
using MassTransit;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Support;

namespace Api.Tests;

/// <summary>The API with its models in a container, and a worker with a cache of its own that scores over HTTP. The way to the container can be cut.</summary>
public sealed class ContainerModelsHost : RealWorkerHost
{
    readonly AzuriteServer _azurite = new();
    readonly TestFolder _caches = new();
    WebApplication? _worker;

    public Relay Relay { get; private set; } = null!;

    public BlobContainerClient Container { get; private set; } = null!;

    /// <summary>Where the API has copies and uploads.</summary>
    public string Cache => _caches["api"];

    public string WorkerCache => _caches["worker"];

    private protected override IReadOnlyDictionary<string, string?> Settings => Places(Cache);

    public override async Task InitializeAsync()
    {
        await _azurite.InitializeAsync();
        Container = await _azurite.Process.CreateContainerAsync();
        Relay = new Relay(new Uri(_azurite.Process.Endpoint()));
        await base.InitializeAsync();
        _worker = OnlineScoring.ScoringHost.BuildWorker(Places(WorkerCache));
        await _worker.StartAsync();
        await Eventually.TrueAsync(async () => (await Client.GetAsync("/api/v1/models/fraud-detection-model")).IsSuccessStatusCode, "the sample models");
    }

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        if (_worker is not null)
            await _worker.DisposeAsync();
        Relay.Dispose();
        _caches.Dispose();
    }

    public async Task<HttpResponseMessage> ScoreAsync(string path, string body)
    {
        // It is forgotten when it has said nothing for a while.
        await Services.GetRequiredService<IBus>().Publish(new WorkerAlive("apart", 1, [], new Uri(_worker!.Urls.First()), 100));
        var workers = Services.GetRequiredService<Api.OnlineScoring.Workers>();
        await Eventually.TrueAsync(() => workers.Choose("", []) is not null, "the API knows of the worker");
        return await Client.PostAsync($"/api/v1/endpoints/{path}", new StringContent(body, Encoding.UTF8, "application/json"));
    }

    public async Task<string[]> NamesAsync()
    {
        List<string> names = [];
        await foreach (var blob in Container.GetBlobsAsync())
            names.Add(blob.Name);
        return [.. names];
    }

    /// <summary>A form with a model and the files beside it.</summary>
    public async Task<HttpResponseMessage> UploadAsync(string name, byte[] model, params (string Name, byte[] Bytes)[] others)
    {
        using var form = new MultipartFormDataContent { { new StringContent(name), "name" }, { new ByteArrayContent(model), "file", "model.onnx" } };
        foreach (var (file, bytes) in others)
            form.Add(new ByteArrayContent(bytes), "data", file);
        return await Client.PostAsync("/api/v1/models", form);
    }

    public async Task<HttpResponseMessage> RangeAsync(string path, long? from, long? to)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path) { Headers = { Range = new RangeHeaderValue(from, to) } };
        return await Client.SendAsync(request);
    }

    Dictionary<string, string?> Places(string cache) => new()
    {
        ["Artifacts:Blob:Accounts:lake:ConnectionString"] =
            _azurite.Process.ConnectionString().Replace($":{new Uri(_azurite.Process.Endpoint()).Port}/", $":{Relay.Port}/", StringComparison.Ordinal),
        ["Artifacts:Blob:Accounts:lake:Tenants:local:Models:0"] = $"{Container.Name}/models",
        ["Artifacts:Blob:Accounts:lake:Tenants:local:Inputs:0"] = $"{Container.Name}/in",
        ["Artifacts:ModelsRoot"] = $"az://{Container.Name}/models/prod",
        ["Artifacts:CacheFolder"] = cache,
        ["Api:OnlineScoring:ResolvedMilliseconds"] = "0",
    };
}
