using System.Buffers;
using Contracts;

namespace Api.OnlineScoring;

/// <summary>The way to a worker: over HTTP where workers are processes of their own, a call where there is one process.</summary>
public interface IWorkerScoring
{
    /// <param name="adapter">LoRA weights in place of the model's own; null for none.</param>
    /// <param name="answer">Takes the answer's JSON, once there is one.</param>
    /// <exception cref="FailureException">The worker refuses the request, or there is none: <c>no_worker</c>.</exception>
    /// <exception cref="OperationCanceledException">The caller has gone, or its time is up.</exception>
    Task ScoreAsync(ModelRef model, AdapterRef? adapter, ReadOnlyMemory<byte> body, TimeSpan timeout, IBufferWriter<byte> answer, CancellationToken cancellationToken);
}
