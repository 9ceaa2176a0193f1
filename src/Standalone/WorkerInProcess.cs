using System.Buffers;
using Api.OnlineScoring;
using Artifacts;
using Contracts;
using GpuWorker.OnlineScoring;

namespace Standalone;

/// <summary>The worker is in this process: it is called.</summary>
sealed class WorkerInProcess(OnlineScorer scorer, ArtifactStore artifacts) : IWorkerScoring
{
    public Task ScoreAsync(ModelRef model, string? adapterUri, ReadOnlyMemory<byte> body, TimeSpan timeout, IBufferWriter<byte> answer, CancellationToken cancellationToken) =>
        scorer.ScoreAsync(model, adapterUri is null ? null : artifacts.LocalPath(adapterUri, ArtifactAccess.Read, "adapter"), body, answer, cancellationToken);
}
