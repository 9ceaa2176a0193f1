using System.Net.Http.Json;
using Contracts;
using Contracts.WorkLedger;
using GpuWorker;
using GpuWorker.Inference;
using MassTransit;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Support;

namespace Api.Tests.OnlineScoring;

/// <summary>The API and a whole worker in one process.</summary>
public sealed class WorkerHost : ApiHost
{
    private protected override void AddWorker(WebApplicationBuilder builder, IBusRegistrationConfigurator bus)
    {
        builder.Services.AddWorker();
        bus.AddWorker();
    }
}

[Trait("Category", "Server")]
public sealed class CacheTests(WorkerHost host) : IClassFixture<WorkerHost>
{
    [Fact]
    public async Task Every_worker_closes_its_models_and_those_that_do_not_answer_are_told_of()
    {
        var cache = host.Services.GetRequiredService<ModelCache>();
        var workers = host.Services.GetRequiredService<Api.OnlineScoring.Workers>();
        await Eventually.TrueAsync(() => workers.Count == 1, "the worker's announcement");
        using var used = await LeaseAsync(cache, "fraud-detection-model");
        (await LeaseAsync(cache, "credit-risk-model")).Dispose();

        (await ClearAsync()).ShouldBe(new Api.OnlineScoring.CacheCleared(Answered: 1, Workers: 1, Closed: 1, InUse: 1));
        cache.WarmModels.ShouldBe([used.Session.Sha256]);

        await host.Services.GetRequiredService<IBus>().Publish(new WorkerAlive("mute", 1, []));
        await Eventually.TrueAsync(() => workers.Count == 2, "the other's announcement");
        (await ClearAsync()).ShouldBe(new Api.OnlineScoring.CacheCleared(Answered: 1, Workers: 2, Closed: 0, InUse: 1));
    }

    async Task<Api.OnlineScoring.CacheCleared> ClearAsync()
    {
        using var answer = await host.Client.PostAsync("/api/v1/batch-inference/models/cache/clear", null);
        answer.EnsureSuccessStatusCode();
        return (await answer.Content.ReadFromJsonAsync<Api.OnlineScoring.CacheCleared>())!;
    }

    async Task<ModelLease> LeaseAsync(ModelCache cache, string sample)
    {
        var file = await File.ReadAllBytesAsync(RealWorkerHost.Clone("samples", "models", sample, "model.onnx"));
        var path = Path.Combine(host.Models, $"{sample}.onnx");
        await File.WriteAllBytesAsync(path, file);
        return await cache.LeaseAsync(new ModelRef(sample, Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(file)), ApiHost.Uri(path)));
    }
}
