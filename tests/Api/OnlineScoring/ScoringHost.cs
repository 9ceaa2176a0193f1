using Artifacts;
using Contracts;
using Contracts.OnlineScoring;
using Contracts.WorkLedger;
using GpuWorker.Inference;
using GpuWorker.OnlineScoring;
using MassTransit;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Sagas.Models;
using Support;

namespace Api.Tests.OnlineScoring;

/// <summary>The API and a worker that it reaches over HTTP, with one real model.</summary>
public sealed class ScoringHost : Security.SecuredHost
{
    public const string WorkerKey = "0123456789abcdef0123456789abcdef";

    /// <summary>Of the API; the worker takes less.</summary>
    public const int MaxBody = 20_000_000;

    public const int MaxBodyOfWorker = 15_000_000;

    const string Sample = "fraud-detection-model";
    const int Features = 30;

    WebApplication? _worker;

    public string ModelVersion { get; private set; } = "";

    public Uri Worker => new(_worker!.Urls.First());

    private protected override IReadOnlyDictionary<string, string?> Settings => new Dictionary<string, string?>(base.Settings)
    {
        ["Workers:Key"] = WorkerKey,
        ["Api:OnlineScoring:ResolvedMilliseconds"] = "0",
        ["Api:OnlineScoring:MaxBodyBytes"] = $"{MaxBody}",
    };

    public override async Task InitializeAsync()
    {
        await base.InitializeAsync();
        var file = await File.ReadAllBytesAsync(RealWorkerHost.Clone("samples", "models", Sample, "model.onnx"));
        ModelVersion = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(file));
        await File.WriteAllBytesAsync(Path.Combine(Models, "fraud.onnx"), file);
        await WithDbAsync(db =>
        {
            db.Add(new RegisteredModel
            {
                Tenant = "local",
                Name = "fraud",
                Version = ModelVersion,
                Uri = Uri(Models, "fraud.onnx"),
                Signature = WireJson.Write(TwoFeatures),
                RowsPerSecond = 1,
                RegisteredAt = DateTimeOffset.UnixEpoch,
            });
            return db.SaveChangesAsync();
        });
        _worker = BuildWorker(WorkerKey);
        await _worker.StartAsync();
        await AnnounceAsync("worker", Worker, ModelVersion);
    }

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        if (_worker is not null)
            await _worker.DisposeAsync();
    }

    /// <summary>A model and a LoRA adapter of it, as they are once registered.</summary>
    public async Task AddAdaptedModelAsync(string name, string adapter)
    {
        var (model, weights) = (Copy("two_params_lora_model.onnx"), Copy("two_params_lora_model.onnx_adapter"));
        await WithDbAsync(db =>
        {
            db.Add(new RegisteredModel
            {
                Tenant = "local",
                Name = name,
                Version = model.Sha256,
                Uri = model.Uri,
                Signature = WireJson.Write(TwoFeatures),
                RegisteredAt = DateTimeOffset.UnixEpoch,
            });
            db.SaveChanges();
            db.Add(new ModelAdapter
            {
                Tenant = "local",
                Model = name,
                Version = model.Sha256,
                Name = adapter,
                Sha256 = weights.Sha256,
                Uri = weights.Uri,
                RegisteredBy = "test",
            });
            return db.SaveChangesAsync();
        });

        (string Uri, string Sha256) Copy(string file)
        {
            var bytes = File.ReadAllBytes(RealWorkerHost.Clone("tests", "assets", "conformance", "ort_lora_two_params", file));
            File.WriteAllBytes(Path.Combine(Models, file), bytes);
            return (Uri(Models, file), Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(bytes)));
        }
    }

    /// <summary>A worker's HTTP, without the bus.</summary>
    public WebApplication BuildWorker(string key) => BuildWorker(
        new Dictionary<string, string?> { ["Artifacts:ModelsRoot"] = Models, ["Workers:Key"] = key, ["Online:MaxBodyBytes"] = $"{MaxBodyOfWorker}" });

    /// <inheritdoc cref="BuildWorker(string)"/>
    public static WebApplication BuildWorker(IReadOnlyDictionary<string, string?> settings)
    {
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory, EnvironmentName = "Test" });
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Configuration.AddInMemoryCollection(settings);
        builder.Services.AddArtifacts();
        builder.Services.AddInference();
        builder.Services.AddOnlineScoring();
        var app = builder.Build();
        app.MapOnlineScoring();
        return app;
    }

    /// <summary>Until the API knows of it.</summary>
    /// <param name="free">More than others have, and it is the better choice.</param>
    public async Task AnnounceAsync(string name, Uri address, string model, int free = 100)
    {
        await Services.GetRequiredService<IBus>().Publish(new WorkerAlive(name, 1, [model], address, free));
        var workers = Services.GetRequiredService<Api.OnlineScoring.Workers>();
        await Eventually.TrueAsync(() => workers.Choose(ModelVersion, [])?.Name == name || workers.Choose("", [])?.Name == name, $"the API knows of {name}");
    }

    /// <summary>A row that the model takes.</summary>
    public static string Row() => $$"""{"data":[{"features":[{{string.Join(',', Enumerable.Range(1, Features))}}]}]}""";
}
