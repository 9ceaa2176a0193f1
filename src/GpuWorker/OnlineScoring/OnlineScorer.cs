using System.Buffers;
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.CompilerServices;
using Contracts;
using GpuWorker.Inference;
using Interop.OnnxRuntime;
using Microsoft.Extensions.Options;

namespace GpuWorker.OnlineScoring;

/// <summary>Scores what somebody waits for: body in, body out, with a model that is open or is opened for it.</summary>
public sealed class OnlineScorer(ModelCache models, OnnxEnvironment environment, IOptions<OnlineScoringOptions> options)
{
    readonly ConditionalWeakTable<ModelSession, Lazy<Serving>> serving = [];

    /// <summary>Runs that could begin at once, of the models that are open.</summary>
    public int FreeRuns => serving.Where(pair => pair.Value.IsValueCreated).Select(pair => pair.Value.Value.Batcher.Free).DefaultIfEmpty(options.Value.EffectiveRuns).Min();

    /// <summary>Opens a model, runs it once or more, and finds out how it can be served.</summary>
    public async Task WarmUpAsync(ModelRef model, CancellationToken cancellationToken)
    {
        using var lease = await models.LeaseAsync(model, cancellationToken);
        Serve(lease.Session);
    }

    /// <param name="adapter">Path of LoRA weights to use in place of the model's own; null for none.</param>
    /// <param name="body">JSON in one of three forms; see docs/pipelines/online-scoring.md.</param>
    /// <param name="answer">Takes JSON in the same form.</param>
    /// <exception cref="FailureException">Nothing was written.</exception>
    /// <exception cref="OperationCanceledException">The caller has gone, or its time is up.</exception>
    public async Task ScoreAsync(ModelRef model, string? adapter, ReadOnlyMemory<byte> body, IBufferWriter<byte> answer, CancellationToken stop)
    {
        try
        {
            var asked = Stopwatch.GetTimestamp();
            using var lease = await models.LeaseAsync(model, stop);
            var isWarm = lease.WasOpen && serving.TryGetValue(lease.Session, out var known) && known.IsValueCreated;
            var (online, batcher, adapters) = Serve(lease.Session);
            if (!isWarm)
                Durations.StartedCold(Stopwatch.GetElapsedTime(asked), lease.Session.Onnx.Provider, "online");
            using var request = BodyReader.Read(body, online, options.Value);
            using var result = await batcher.ScoreAsync(request, adapter is null ? null : adapters.Open(adapter), stop);
            AnswerWriter.Write(answer, online, model.Name, request, result);
        }
        catch (FailureException e)
        {
            OnlineMetrics.RefusedAs(e.Failure.Code);
            throw;
        }
    }

    Serving Serve(ModelSession session) => serving.GetValue(session, opened => new Lazy<Serving>(() =>
    {
        var model = OnlineModel.Of(opened, environment);
        return new Serving(model, new MicroBatcher(model, options.Value), new AdapterCache());
    })).Value;

    sealed record Serving(OnlineModel Model, MicroBatcher Batcher, AdapterCache Adapters);

    /// <summary>The adapters of an open model, by path. Files never change once they are there.</summary>
    sealed class AdapterCache
    {
        readonly ConcurrentDictionary<string, Lazy<OnnxLoraAdapter>> opened = [];

        internal OnnxLoraAdapter Open(string path)
        {
            try
            {
                return opened.GetOrAdd(path, file => new Lazy<OnnxLoraAdapter>(() => OnnxLoraAdapter.FromFile(file))).Value;
            }
            catch (OnnxException e)
            {
                opened.TryRemove(path, out _);
                throw new FailureException(new Failure("adapter_invalid", $"The adapter {Path.GetFileName(path)} cannot be used: {e.Message}"), inner: e);
            }
        }
    }
}
