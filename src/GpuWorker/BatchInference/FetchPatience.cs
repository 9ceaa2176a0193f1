using Contracts;

namespace GpuWorker.BatchInference;

/// <summary>How long a unit waits for what is fetched. A fetch goes on without it, so the next try finds more of it here.</summary>
static class FetchPatience
{
    /// <summary>A unit may last 45 s in all.</summary>
    static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(30);

    static readonly TimeSpan ShortestWait = TimeSpan.FromSeconds(1);

    /// <param name="what">As the caller knows it.</param>
    /// <param name="spent">Of the unit's time, by now.</param>
    /// <exception cref="FailureException"><c>artifacts_unavailable</c>, transient.</exception>
    public static async Task<T> WaitAsync<T>(Func<CancellationToken, Task<T>> fetch, string what, TimeSpan spent, TimeProvider time, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(LongestWait - spent > ShortestWait ? LongestWait - spent : ShortestWait, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            return await fetch(either.Token);
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new FailureException(new Failure(FailureCodes.ArtifactsUnavailable, $"{what} is still being fetched."), isTransient: true);
        }
    }
}
