using Artifacts;
using Contracts;
using Interop.OnnxRuntime;
using Microsoft.Extensions.Options;

namespace GpuWorker.Inference;

/// <summary>
/// The models this process has open, by sha256. Each is loaded once however many ask for it, stays warm when nobody uses it, and is
/// closed, least recently used first, only when nobody does.
/// </summary>
public sealed class ModelCache(OnnxEnvironment environment, ArtifactStore artifacts, IOptions<InferenceOptions> options) : IDisposable
{
    readonly Lock gate = new();
    readonly Dictionary<string, Entry> entries = [];
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

    /// <summary>The model, open until the lease is disposed.</summary>
    /// <exception cref="FailureException">The model cannot be used; the next caller tries again.</exception>
    public async Task<ModelLease> LeaseAsync(ModelRef model, CancellationToken cancellationToken = default)
    {
        var entry = Enter(model);
        try
        {
            cancellationToken.ThrowIfCancellationRequested();
            return new ModelLease(this, entry, await entry.Load.WaitAsync(cancellationToken));
        }
        catch
        {
            Return(entry);
            throw;
        }
    }

    /// <summary>Closes every model that nobody uses; the others are closed when they are returned.</summary>
    public void Clear() => Evict(keep: 0);

    public void Dispose()
    {
        disposed = true;
        Evict(keep: 0);
    }

    internal void Return(Entry entry)
    {
        lock (gate)
            entry.Leases--;
        Evict(disposed ? 0 : options.Value.MaxWarmModels);
    }

    Entry Enter(ModelRef model)
    {
        lock (gate)
        {
            ObjectDisposedException.ThrowIf(disposed, this);
            // A load that failed is not kept: what was wrong with the file may have been put right.
            if (!entries.TryGetValue(model.Sha256, out var entry) || entry.Load.IsFaulted || entry.Load.IsCanceled)
            {
                entry = new Entry(model.Sha256, Task.Run(() => Load(model)));
                entries[model.Sha256] = entry;
            }
            entry.Leases++;
            entry.LastUse = ++uses;
            return entry;
        }
    }

    ModelSession Load(ModelRef model) =>
        ModelSession.Open(environment, artifacts.LocalPath(model.Uri, ArtifactAccess.Read, "model"), model.Sha256, options.Value);

    void Evict(int keep)
    {
        var closed = new List<ModelSession>();
        lock (gate)
        {
            var idle = entries.Values.Where(entry => entry is { Leases: 0, Load.IsCompleted: true }).OrderBy(entry => entry.LastUse).ToArray();
            foreach (var entry in idle)
            {
                if (entry.Load.IsCompletedSuccessfully && entries.Count <= keep)
                    continue;
                entries.Remove(entry.Sha256);
                if (entry.Load.IsCompletedSuccessfully)
                    closed.Add(entry.Load.GetAwaiter().GetResult());
            }
        }
        foreach (var session in closed)
            session.Dispose();
    }

    internal sealed class Entry(string sha256, Task<ModelSession> load)
    {
        internal string Sha256 => sha256;

        internal Task<ModelSession> Load => load;

        internal int Leases { get; set; }

        internal long LastUse { get; set; }
    }
}

/// <summary>The right to use an open model until disposed.</summary>
public sealed class ModelLease : IDisposable
{
    readonly ModelCache cache;
    ModelCache.Entry? entry;

    internal ModelLease(ModelCache cache, ModelCache.Entry entry, ModelSession session) =>
        (this.cache, this.entry, Session) = (cache, entry, session);

    public ModelSession Session { get; }

    public void Dispose()
    {
        if (Interlocked.Exchange(ref entry, null) is { } leased)
            cache.Return(leased);
    }
}
