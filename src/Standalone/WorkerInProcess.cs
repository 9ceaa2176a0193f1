using System.Buffers;
using Api.OnlineScoring;
using Contracts;
using GpuWorker.OnlineScoring;

namespace Standalone;

/// <summary>The worker is in this process: it is called.</summary>
sealed class WorkerInProcess(OnlineScorer scorer) : IWorkerScoring
{
    public Task ScoreAsync(ModelRef model, AdapterRef? adapter, ReadOnlyMemory<byte> body, TimeSpan timeout, IBufferWriter<byte> answer, CancellationToken cancellationToken) =>
        scorer.ScoreAsync(model, adapter, body, answer, cancellationToken);
}
