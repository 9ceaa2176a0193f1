using System.Collections.Concurrent;
using Contracts.WorkLedger;
using MassTransit;

namespace Api.OnlineScoring;

/// <summary>The workers that announced themselves lately, and what this process has asked of each.</summary>
sealed class Workers(TimeProvider clock)
{
    static readonly TimeSpan Forgotten = TimeSpan.FromSeconds(15);

    readonly ConcurrentDictionary<string, KnownWorker> _known = [];

    public void Announce(WorkerAlive worker)
    {
        var address = worker.Address is { IsAbsoluteUri: true, Scheme: "http" or "https" } reachable ? reachable : null;
        var known = _known.GetOrAdd(worker.Worker, name => new KnownWorker(name));
        (known.Address, known.Models, known.FreeRuns, known.SeenAt) = (address, [.. worker.Models], worker.FreeRuns, clock.GetTimestamp());
    }

    /// <summary>The least loaded of those that have the model open, as long as they are not crowded, else of all; null when none is left.</summary>
    /// <param name="except">Tried already.</param>
    public KnownWorker? Choose(string sha256, IReadOnlyCollection<KnownWorker> except)
    {
        KnownWorker? best = null;
        foreach (var worker in _known.Values)
        {
            if (clock.GetElapsedTime(worker.SeenAt) > Forgotten)
                _known.TryRemove(KeyValuePair.Create(worker.Name, worker));
            else if (worker.Address is not null && !except.Contains(worker) && (best is null || worker.IsBetterThan(best, sha256)))
                best = worker;
        }
        return best;
    }

    /// <summary>How many there are.</summary>
    public int Count => _known.Values.Count(worker => clock.GetElapsedTime(worker.SeenAt) <= Forgotten);

    /// <summary>It does not answer: it is not asked again until it announces itself.</summary>
    public void Forget(KnownWorker worker) => _known.TryRemove(KeyValuePair.Create(worker.Name, worker));
}

sealed class KnownWorker(string name)
{
    /// <summary>Requests beyond the free runs from which on it is worth opening the model elsewhere: a queue much longer than a shared run takes.</summary>
    const int Crowd = 64;

    int _asked;

    public string Name => name;

    /// <summary>Null when it cannot be reached for online scoring.</summary>
    public Uri? Address { get; set; }

    public HashSet<string> Models { get; set; } = [];

    public int FreeRuns { get; set; }

    public long SeenAt { get; set; }

    public void Ask() => Interlocked.Increment(ref _asked);

    public void Answered() => Interlocked.Decrement(ref _asked);

    public bool IsBetterThan(KnownWorker other, string sha256)
    {
        var (warm, otherWarm) = (IsWarmFor(sha256), other.IsWarmFor(sha256));
        return warm != otherWarm ? warm : Waiting < other.Waiting;
    }

    int Waiting => Volatile.Read(ref _asked) - FreeRuns;

    bool IsWarmFor(string sha256) => Waiting < Crowd && Models.Contains(sha256);
}

/// <summary>Each API host hears of every worker, on a queue of its own that goes when the host does.</summary>
sealed class WorkerAnnouncements(Workers workers) : IConsumer<WorkerAlive>
{
    public Task Consume(ConsumeContext<WorkerAlive> context)
    {
        workers.Announce(context.Message);
        return Task.CompletedTask;
    }
}
