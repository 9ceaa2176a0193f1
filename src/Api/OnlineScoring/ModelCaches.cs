using System.Collections.Concurrent;
using Contracts;
using MassTransit;
using Messaging;

namespace Api.OnlineScoring;

/// <summary>Asks every worker to close its models, and counts who did.</summary>
sealed class ModelCaches(IBus bus, Workers workers, TimeProvider clock)
{
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    readonly ConcurrentDictionary<Guid, Answers> _asked = [];

    public async Task<CacheCleared> ClearAsync(CancellationToken cancellationToken)
    {
        var request = new ClearModelCache(Guid.CreateVersion7());
        var answers = _asked[request.RequestId] = new Answers(workers.Count);
        try
        {
            using var time = new CancellationTokenSource(Patience, clock);
            using var stop = CancellationTokenSource.CreateLinkedTokenSource(time.Token, cancellationToken);
            await bus.Publish(request, stop.Token);
            await answers.All.WaitAsync(stop.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // Those that answered in time are told of.
        }
        catch (Exception e) when (TransientError.IsOutage(e))
        {
            throw new FailureException(new Failure("no_worker", "No worker can be asked: the broker is away. Try again later."), isTransient: true, e);
        }
        finally
        {
            _asked.TryRemove(request.RequestId, out _);
        }
        return answers.Sum();
    }

    public void Answer(ModelCacheCleared cleared)
    {
        if (_asked.TryGetValue(cleared.RequestId, out var answers))
            answers.Add(cleared);
    }

    sealed class Answers(int expected)
    {
        readonly ConcurrentDictionary<string, ModelCacheCleared> _byWorker = [];
        readonly TaskCompletionSource _all = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task All => _all.Task;

        public void Add(ModelCacheCleared cleared)
        {
            _byWorker[cleared.Worker] = cleared;
            if (expected > 0 && _byWorker.Count >= expected)
                _all.TrySetResult();
        }

        public CacheCleared Sum() => new(_byWorker.Count, Math.Max(expected, _byWorker.Count), _byWorker.Values.Sum(one => one.Closed), _byWorker.Values.Sum(one => one.InUse));
    }
}

/// <param name="Answered">Workers that closed what they could.</param>
/// <param name="Workers">That there are.</param>
/// <param name="Closed">Models, over all of them.</param>
/// <param name="InUse">Models that are closed once nobody uses them any more.</param>
public sealed record CacheCleared(int Answered, int Workers, int Closed, int InUse);

sealed class ModelCacheAnswers(ModelCaches caches) : IConsumer<ModelCacheCleared>
{
    public Task Consume(ConsumeContext<ModelCacheCleared> context)
    {
        caches.Answer(context.Message);
        return Task.CompletedTask;
    }
}
