using System.Diagnostics;
using Contracts;
using Interop.OnnxRuntime;

namespace GpuWorker.OnlineScoring;

/// <summary>
/// One model's requests. An idle model runs a request at once, on its caller's thread. Behind a busy one requests wait, in a queue with an
/// end, and where the model allows it those that wait are run together. Requests with different adapters never are.
/// </summary>
sealed class MicroBatcher(OnlineModel model, OnlineScoringOptions options)
{
    readonly Lock gate = new();
    readonly LinkedList<Waiting> queue = [];
    readonly int runs = options.EffectiveRuns;
    readonly int mostRows = options.MicroBatching && model.Alone is null ? options.MaxBatchRows : 0;
    int running;

    string Provider => model.Session.Onnx.Provider;

    /// <summary>Runs that could begin at once.</summary>
    internal int Free => Math.Max(0, runs - Volatile.Read(ref running));

    /// <param name="adapter">LoRA weights in place of the model's own; null for none.</param>
    /// <param name="stop">The caller has gone, or its time is up. A run that nobody waits for any more is stopped.</param>
    /// <exception cref="FailureException"><c>overloaded</c>, <c>scoring_failed</c>.</exception>
    /// <exception cref="OperationCanceledException">By <paramref name="stop"/>.</exception>
    internal async ValueTask<ScoringResult> ScoreAsync(ScoringRequest request, OnnxLoraAdapter? adapter, CancellationToken stop)
    {
        stop.ThrowIfCancellationRequested();
        Waiting waiting;
        lock (gate)
        {
            if (running < runs && queue.Count == 0)
            {
                running++;
                waiting = new Waiting(request, adapter);
            }
            else
            {
                if (queue.Count >= options.MaxQueued)
                    throw Overloaded();
                waiting = new Waiting(request, adapter);
                waiting.Place = queue.AddLast(waiting);
            }
        }
        if (waiting.Place is null)
        {
            OnlineMetrics.Waited(0, Provider);
            return RunAlone(waiting, stop);
        }
        return await WaitAsync(waiting, stop);
    }

    ScoringResult RunAlone(Waiting only, CancellationToken stop)
    {
        try
        {
            using var run = Options(only.Adapter);
            using var registration = stop.UnsafeRegister(static state => ((OnnxRunOptions)state!).Terminate(), run);
            return Measured(only.Request.Rows, () => OnlineRun.Alone(model, only.Request, run));
        }
        finally
        {
            Next();
        }
    }

    async Task<ScoringResult> WaitAsync(Waiting waiting, CancellationToken stop)
    {
        using var patience = new CancellationTokenSource(options.MaxWaitMilliseconds);
        await using var late = patience.Token.UnsafeRegister(_ => TryLeave(waiting, () => waiting.Fail(Overloaded())), null);
        await using var gone = stop.UnsafeRegister(_ =>
        {
            if (!TryLeave(waiting, () => waiting.Cancel(stop)))
                waiting.Batch?.Left();
        }, null);
        return await waiting.Result;
    }

    // What is in a run already stays there: its memory is in use.
    bool TryLeave(Waiting waiting, Action end)
    {
        lock (gate)
        {
            if (waiting.Place is not { List: not null } place)
                return false;
            queue.Remove(place);
        }
        end();
        return true;
    }

    // The place of a run that has ended goes to who waits.
    void Next()
    {
        List<Waiting> batch;
        lock (gate)
        {
            batch = Take();
            if (batch.Count == 0)
            {
                running--;
                return;
            }
        }
        ThreadPool.UnsafeQueueUserWorkItem(static state => state.Batcher.RunBatch(state.Batch), (Batcher: this, Batch: batch), preferLocal: false);
    }

    List<Waiting> Take()
    {
        var batch = new List<Waiting>();
        var (rows, most) = (0, Math.Min(mostRows, model.Session.RowLimit));
        for (var node = queue.First; node is not null;)
        {
            var (waiting, next) = (node.Value, node.Next);
            if (batch.Count == 0 || (ReferenceEquals(waiting.Adapter, batch[0].Adapter) && CanShare(batch[0].Request, waiting.Request) && rows + waiting.Request.Rows <= most))
            {
                queue.Remove(node);
                batch.Add(waiting);
                rows += waiting.Request.Rows;
                if (most == 0 || waiting.Request.Rows == 0 || rows >= most)
                    break;
            }
            node = next;
        }
        return batch;
    }

    // Row by row they must be of one shape; what a model leaves open beyond the rows may differ between requests.
    static bool CanShare(ScoringRequest first, ScoringRequest other)
    {
        if (other.Rows == 0 || first.Rows == 0)
            return false;
        foreach (var input in first.Inputs)
        {
            var twin = other.Inputs.FirstOrDefault(one => one.Name == input.Name);
            if (twin is null || !twin.Shape.AsSpan(1).SequenceEqual(input.Shape.AsSpan(1)))
                return false;
        }
        return true;
    }

    void RunBatch(List<Waiting> members)
    {
        try
        {
            foreach (var member in members)
                OnlineMetrics.Waited(member.Waited.TotalMilliseconds, Provider);
            using var run = Options(members[0].Adapter);
            using var batch = new Batch(members, run);
            if (members.Count > 1 && TryRunTogether(members, run))
                return;
            foreach (var member in members)
                RunOne(member, run);
        }
        finally
        {
            Next();
        }
    }

    bool TryRunTogether(List<Waiting> members, OnnxRunOptions run)
    {
        try
        {
            var results = Measured(members.Sum(member => member.Request.Rows), () => OnlineRun.Together(model, [.. members.Select(member => member.Request)], run));
            for (var i = 0; i < members.Count; i++)
                members[i].Succeed(results[i]);
            return true;
        }
        catch (OperationCanceledException)
        {
            foreach (var member in members)
                member.Cancel(default);
            return true;
        }
        catch (OnnxException e)
        {
            if (e.IsOutOfMemory)
                model.Session.LimitRows(members.Sum(member => member.Request.Rows));
            // One of them may be to blame: alone, only it fails.
            return false;
        }
        catch (Exception e)
        {
            foreach (var member in members)
                member.Fail(e);
            return true;
        }
    }

    void RunOne(Waiting member, OnnxRunOptions run)
    {
        try
        {
            member.Succeed(Measured(member.Request.Rows, () => OnlineRun.Alone(model, member.Request, run)));
        }
        catch (OperationCanceledException)
        {
            member.Cancel(default);
        }
        catch (Exception e)
        {
            member.Fail(e);
        }
    }

    T Measured<T>(int rows, Func<T> run)
    {
        var begun = Stopwatch.GetTimestamp();
        var result = run();
        OnlineMetrics.Ran(Math.Max(rows, 1), Stopwatch.GetElapsedTime(begun).TotalMilliseconds, Provider);
        return result;
    }

    static OnnxRunOptions Options(OnnxLoraAdapter? adapter)
    {
        var options = new OnnxRunOptions();
        if (adapter is not null)
            options.AddAdapter(adapter);
        return options;
    }

    static FailureException Overloaded() => new(new Failure("overloaded", "The model is busy and too many requests wait for it. Try again later, or more slowly."), isTransient: true);

    /// <summary>Stops the run once all that wait for it have gone.</summary>
    sealed class Batch : IDisposable
    {
        readonly Lock gate = new();
        OnnxRunOptions? run;
        int left;

        internal Batch(List<Waiting> members, OnnxRunOptions run)
        {
            (this.run, left) = (run, members.Count);
            foreach (var member in members)
                member.Join(this);
        }

        internal void Left()
        {
            lock (gate)
                if (--left == 0)
                    run?.Terminate();
        }

        public void Dispose()
        {
            lock (gate)
                run = null;
        }
    }

    sealed class Waiting(ScoringRequest request, OnnxLoraAdapter? adapter)
    {
        readonly TaskCompletionSource<ScoringResult> result = new(TaskCreationOptions.RunContinuationsAsynchronously);
        readonly long since = Stopwatch.GetTimestamp();

        internal ScoringRequest Request => request;

        internal OnnxLoraAdapter? Adapter => adapter;

        internal LinkedListNode<Waiting>? Place { get; set; }

        internal Batch? Batch { get; private set; }

        internal TimeSpan Waited => Stopwatch.GetElapsedTime(since);

        internal Task<ScoringResult> Result => result.Task;

        internal void Join(Batch batch) => Batch = batch;

        internal void Succeed(ScoringResult scored) => result.SetResult(scored);

        internal void Fail(Exception error) => result.TrySetException(error);

        internal void Cancel(CancellationToken token) => result.TrySetCanceled(token);
    }
}
