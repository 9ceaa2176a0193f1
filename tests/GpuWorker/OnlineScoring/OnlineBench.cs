using System.Buffers;
using System.Text;
using System.Text.Json;
using Contracts;
using GpuWorker.Inference;
using GpuWorker.OnlineScoring;
using GpuWorker.Tests.Inference;
using Microsoft.Extensions.Options;

namespace GpuWorker.Tests.OnlineScoring;

/// <summary>Online scoring without a host.</summary>
sealed class OnlineBench : IDisposable
{
    readonly ModelCache models;

    internal OnlineBench(InferenceFixture inference, Action<OnlineScoringOptions>? configure = null)
    {
        configure?.Invoke(Settings);
        models = new ModelCache(inference.Environment, inference.Artifacts, Options.Create(inference.Settings));
        Scorer = new OnlineScorer(models, inference.Environment, Options.Create(Settings));
    }

    internal OnlineScoringOptions Settings { get; } = new();

    internal OnlineScorer Scorer { get; }

    internal Task WarmUpAsync(ModelRef model) => Scorer.WarmUpAsync(model, default);

    internal Task<JsonElement> ScoreAsync(ModelRef model, string body, string? adapter = null, CancellationToken stop = default) =>
        ScoreAsync(model, Encoding.UTF8.GetBytes(body), adapter, stop);

    internal async Task<JsonElement> ScoreAsync(ModelRef model, byte[] body, string? adapter = null, CancellationToken stop = default)
    {
        var answer = new ArrayBufferWriter<byte>();
        await Scorer.ScoreAsync(model, adapter, body, answer, stop);
        return JsonDocument.Parse(answer.WrittenMemory).RootElement;
    }

    public void Dispose() => models.Dispose();
}
