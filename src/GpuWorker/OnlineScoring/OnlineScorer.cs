using System.Buffers;
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.CompilerServices;
using Artifacts;
using Contracts;
using GpuWorker.Inference;
using Interop.OnnxRuntime;
using Microsoft.Extensions.Options;

namespace GpuWorker.OnlineScoring;

/// <summary>Scores what somebody waits for: body in, body out, with a model that is open or is opened for it.</summary>
public sealed class OnlineScorer(ModelCache models, OnnxEnvironment environment, ArtifactStore artifacts, IOptions<OnlineScoringOptions> options)
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

    /// <param name="adapter">Null for none.</param>
    /// <param name="body">JSON in one of three forms; see docs/pipelines/online-scoring.md.</param>
    /// <param name="answer">Takes JSON in the same form.</param>
    /// <exception cref="FailureException">Nothing was written.</exception>
    /// <exception cref="OperationCanceledException">The caller has gone, or its time is up.</exception>
    public async Task ScoreAsync(ModelRef model, AdapterRef? adapter, ReadOnlyMemory<byte> body, IBufferWriter<byte> answer, CancellationToken stop)
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
            using var result = await batcher.ScoreAsync(request, adapter is null ? null : await adapters.OpenAsync(adapter).WaitAsync(stop), stop);
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
        return new Serving(model, new MicroBatcher(model, options.Value), new AdapterCache(artifacts));
    })).Value;

    sealed record Serving(OnlineModel Model, MicroBatcher Batcher, AdapterCache Adapters);

    /// <summary>The adapters of an open model. Files never change once they are there.</summary>
    sealed class AdapterCache(ArtifactStore artifacts)
    {
        readonly ConcurrentDictionary<AdapterRef, Lazy<Task<OnnxLoraAdapter>>> opened = [];

        internal Task<OnnxLoraAdapter> OpenAsync(AdapterRef adapter) =>
            opened.GetOrAdd(adapter, asked => new Lazy<Task<OnnxLoraAdapter>>(() => Task.Run(() => LoadAsync(asked)))).Value;

        async Task<OnnxLoraAdapter> LoadAsync(AdapterRef adapter)
        {
            try
            {
                // What ONNX Runtime maps of it stays mapped.
                using var file = await LocalModel.FetchAdapterAsync(artifacts, adapter);
                return OnnxLoraAdapter.FromFile(file.Path);
            }
            catch (Exception e)
            {
                // Not kept: what was wrong may have been put right.
                opened.TryRemove(adapter, out _);
                if (e is not OnnxException)
                    throw;
                throw new FailureException(new Failure("adapter_invalid", $"The adapter {adapter.Uri[(adapter.Uri.LastIndexOf('/') + 1)..]} cannot be used: {e.Message}"), inner: e);
            }
        }
    }
}
