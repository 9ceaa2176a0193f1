using System.Diagnostics;
using System.Diagnostics.Metrics;
using Artifacts;
using Contracts;
using Interop.OnnxRuntime;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace GpuWorker.Inference;

/// <summary>
/// The models this process has open, by sha256. Each is loaded once however many ask for it, stays warm when nobody uses it, and is
/// closed, least recently used first, only when nobody does and the models take more memory than they may.
/// </summary>
public sealed partial class ModelCache(OnnxEnvironment environment, ArtifactStore artifacts, IOptions<InferenceOptions> options, ILogger<ModelCache> logger) : IDisposable
{
    static readonly Meter Meter = new("GpuWorker.Inference");
    static readonly Counter<long> Hits = Meter.CreateCounter<long>("model.cache.hits", "{lease}", "Leases of models that were open");
    static readonly Counter<long> Misses = Meter.CreateCounter<long>("model.cache.misses", "{lease}", "Leases of models that had to be opened");
    static readonly Histogram<double> LoadTime = Meter.CreateHistogram("model.load.duration", "ms", "How long models took to open", advice: Durations.Advice);
    static readonly UpDownCounter<long> WarmBytes = Meter.CreateUpDownCounter<long>("model.cache.bytes", "By", "Memory of the models that are open, as measured at registration");

    readonly Lock gate = new();
    readonly long mostBytes = options.Value.EffectiveWarmBytes;
    readonly Dictionary<string, Entry> entries = [];

    // What a device showed of its memory outlasts the session.
    readonly Dictionary<(string Sha256, string Provider), int> rowLimits = [];
    HashSet<string> pinned = [];
    long uses;
    bool disposed;

    /// <summary>Sha256 of the models that are open.</summary>
    public IReadOnlyList<string> WarmModels
    {
        get
        {
            lock (gate)
                return [.. entries.Where(entry => entry.Value.Load.IsCompletedSuccessfully).Select(entry => entry.Key)];
        }
    }

    /// <summary>The sessions that are open; each may be closed at any moment.</summary>
    internal IReadOnlyList<ModelSession> Sessions
    {
        get
        {
            lock (gate)
                return [.. entries.Values.Where(entry => entry.Load.IsCompletedSuccessfully).Select(entry => entry.Session)];
        }
    }

    /// <summary>The model, open until the lease is disposed.</summary>
    /// <exception cref="FailureException">The model cannot be used; the next caller tries again.</exception>
    public async Task<ModelLease> LeaseAsync(ModelRef model, CancellationToken cancellationToken = default)
    {
        var entry = Enter(model);
        try
        {
            cancellationToken.ThrowIfCancellationRequested();
            var wasOpen = entry.Load.IsCompletedSuccessfully;
            return new ModelLease(this, entry, await entry.Load.WaitAsync(cancellationToken), wasOpen);
        }
        catch
        {
            Return(entry);
            throw;
        }
    }

    /// <summary>From now on these stay open once they are, and no others.</summary>
    public void Pin(IEnumerable<string> sha256)
    {
        lock (gate)
            pinned = [.. sha256];
        Evict();
    }

    /// <summary>Closes every model that nobody uses, pinned or not; the others are closed when they are returned.</summary>
    /// <returns>How many were closed, and how many are in use.</returns>
    public (int Closed, int InUse) Clear()
    {
        lock (gate)
        {
            foreach (var entry in entries.Values)
                entry.IsLast = true;
        }
        return Evict();
    }

    public void Dispose()
    {
        disposed = true;
        Clear();
    }

    internal void Return(Entry entry)
    {
        lock (gate)
        {
            entry.Leases--;
            // Once a request: nothing is made for the answer that it nearly always is.
            if (IsWithinLimits())
                return;
        }
        Evict();
    }

    /// <returns>Whether nobody has to be closed.</returns>
    bool IsWithinLimits()
    {
        var (count, bytes) = (0, 0L);
        foreach (var entry in entries.Values)
        {
            if (entry is { Leases: 0, Load.IsCompleted: true } && (entry.IsLast || !entry.Load.IsCompletedSuccessfully))
                return false;
            if (!entry.Load.IsCompletedSuccessfully)
                continue;
            count++;
            bytes += Weight(entry.Model, entry.Session);
        }
        return Fits(count, bytes);
    }

    bool Fits(int count, long bytes) => count <= options.Value.MaxWarmModels && bytes <= mostBytes;

    Entry Enter(ModelRef model)
    {
        lock (gate)
        {
            ObjectDisposedException.ThrowIf(disposed, this);
            // A load that failed is not kept: what was wrong with the file may have been put right.
            if (!entries.TryGetValue(model.Sha256, out var entry) || entry.Load.IsFaulted || entry.Load.IsCanceled)
            {
                Misses.Add(1);
                entry = new Entry(model, Task.Run(() => LoadAsync(model)));
                entries[model.Sha256] = entry;
            }
            else
            {
                Hits.Add(1);
            }
            // Who asks for it after it was to be closed wants it open.
            entry.IsLast = disposed;
            entry.Leases++;
            entry.LastUse = ++uses;
            return entry;
        }
    }

    async Task<ModelSession> LoadAsync(ModelRef model)
    {
        var begun = Stopwatch.GetTimestamp();
        // Whoever gives up waiting leaves the fetch to those who come later.
        using var files = await LocalModel.OpenAsync(artifacts, model);
        var session = ModelSession.Open(environment, files.Path, model.Sha256, options.Value, files.Verified);
        try
        {
            SelfTest.Check(session, model.Golden);
        }
        catch
        {
            session.Dispose();
            throw;
        }
        lock (gate)
        {
            if (rowLimits.TryGetValue((session.Sha256, session.Onnx.Provider), out var limit))
                session.LimitRowsTo(limit);
        }
        var elapsed = Stopwatch.GetElapsedTime(begun).TotalMilliseconds;
        LoadTime.Record(elapsed, Durations.On(session.Onnx.Provider));
        WarmBytes.Add(Weight(model, session));
        LogOpened(model.Name, model.Sha256, session.Onnx.Provider, elapsed, string.Join("; ", session.Onnx.Refused.Select(refused => $"not on {refused.Provider}: {refused.Reason}")));
        return session;
    }

    static long Weight(ModelRef model, ModelSession session) => Math.Max(model.MemoryBytes, session.FileBytes);

    // The least recently used first, until the rest are within the limits.
    (int Closed, int InUse) Evict()
    {
        var closed = new List<Entry>();
        int inUse;
        lock (gate)
        {
            var open = entries.Values.Where(entry => entry.Load.IsCompletedSuccessfully).ToArray();
            var (count, bytes) = (open.Length, open.Sum(entry => Weight(entry.Model, entry.Session)));
            foreach (var entry in entries.Values.Where(entry => entry is { Leases: 0, Load.IsCompleted: true }).OrderBy(entry => entry.LastUse).ToArray())
            {
                var isOpen = entry.Load.IsCompletedSuccessfully;
                if (isOpen && !entry.IsLast && (Fits(count, bytes) || pinned.Contains(entry.Model.Sha256)))
                    continue;
                entries.Remove(entry.Model.Sha256);
                if (!isOpen)
                    continue;
                (count, bytes) = (count - 1, bytes - Weight(entry.Model, entry.Session));
                if (entry.Session.RowLimit < int.MaxValue)
                    rowLimits[(entry.Session.Sha256, entry.Session.Onnx.Provider)] = entry.Session.RowLimit;
                closed.Add(entry);
            }
            inUse = entries.Values.Count(entry => entry.Leases > 0);
        }
        foreach (var entry in closed)
        {
            WarmBytes.Add(-Weight(entry.Model, entry.Session));
            entry.Session.Dispose();
        }
        return (closed.Count, inUse);
    }

    [LoggerMessage(LogLevel.Information, "Opened {Model} {Sha256} on {Provider} in {Milliseconds:0} ms {Refused}")]
    partial void LogOpened(string model, string sha256, string provider, double milliseconds, string refused);

    internal sealed class Entry(ModelRef model, Task<ModelSession> load)
    {
        internal ModelRef Model => model;

        internal Task<ModelSession> Load => load;

        /// <summary>Once it is open.</summary>
        internal ModelSession Session => load.GetAwaiter().GetResult();

        /// <summary>Nobody may use it after those who do.</summary>
        internal bool IsLast { get; set; }

        internal int Leases { get; set; }

        internal long LastUse { get; set; }
    }
}

/// <summary>The right to use an open model until disposed.</summary>
public sealed class ModelLease : IDisposable
{
    readonly ModelCache cache;
    ModelCache.Entry? entry;

    internal ModelLease(ModelCache cache, ModelCache.Entry entry, ModelSession session, bool wasOpen) =>
        (this.cache, this.entry, Session, WasOpen) = (cache, entry, session, wasOpen);

    public ModelSession Session { get; }

    /// <summary>Nobody had to wait for the model to be opened.</summary>
    internal bool WasOpen { get; }

    public void Dispose()
    {
        if (Interlocked.Exchange(ref entry, null) is { } leased)
            cache.Return(leased);
    }
}
