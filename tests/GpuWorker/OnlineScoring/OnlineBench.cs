using System.Buffers;
using System.Text;
using System.Text.Json;
using Artifacts;
using Contracts;
using GpuWorker.Inference;
using GpuWorker.OnlineScoring;
using GpuWorker.Tests.Inference;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace GpuWorker.Tests.OnlineScoring;

/// <summary>Online scoring without a host.</summary>
sealed class OnlineBench : IDisposable
{
    internal OnlineBench(InferenceFixture inference, Action<OnlineScoringOptions>? configure = null, InferenceOptions? inferenceOptions = null)
    {
        configure?.Invoke(Settings);
        Models = new ModelCache(inference.Environment, inference.Artifacts, Options.Create(inferenceOptions ?? inference.Settings), NullLogger<ModelCache>.Instance);
        Scorer = new OnlineScorer(Models, inference.Environment, inference.Artifacts, Options.Create(Settings));
    }

    internal ModelCache Models { get; }

    internal OnlineScoringOptions Settings { get; } = new();

    internal OnlineScorer Scorer { get; }

    internal Task WarmUpAsync(ModelRef model) => Scorer.WarmUpAsync(model, default);

    internal Task<JsonElement> ScoreAsync(ModelRef model, string body, string? adapter = null, CancellationToken stop = default) =>
        ScoreAsync(model, Encoding.UTF8.GetBytes(body), adapter, stop);

    internal async Task<JsonElement> ScoreAsync(ModelRef model, byte[] body, string? adapter = null, CancellationToken stop = default)
    {
        var answer = new ArrayBufferWriter<byte>();
        await Scorer.ScoreAsync(model, adapter is null ? null : new AdapterRef(FileUri.FromPath(adapter), null), body, answer, stop);
        return JsonDocument.Parse(answer.WrittenMemory).RootElement;
    }

    public void Dispose() => Models.Dispose();
}
