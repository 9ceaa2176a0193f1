using Artifacts;
using Artifacts.Tabular;
using Contracts;
using Contracts.BatchInference;
using Interop.DuckDb;
using ServiceDefaults;

namespace Api.BatchInference;

/// <summary>Opens the first files of an input while the caller waits. A few at a time: each opening has a DuckDB of its own.</summary>
sealed class InputProbe : IDisposable
{
    /// <summary>What has not been fetched by then is for another try: the caller waits.</summary>
    static readonly TimeSpan LongestFetch = TimeSpan.FromSeconds(20);

    readonly SemaphoreSlim _places = new(Math.Max(2, Environment.ProcessorCount));
    // Of their own: a store that does not answer is in nobody's way who has files.
    readonly SemaphoreSlim _remotePlaces = new(16);
    readonly ArtifactStore _store;
    readonly TimeProvider _clock;

    public InputProbe(ArtifactStore store, TimeProvider clock)
    {
        (_store, _clock) = (store, clock);
        // The host may have chosen another place for it already.
        if (DuckDbLibrary.Version is null)
            DuckDbLibrary.Load(NativeParts.DuckDb());
    }

    /// <param name="tenant">Who asks.</param>
    /// <exception cref="Contracts.FailureException">The input cannot be scored, and why.</exception>
    public async Task<TabularInput> OpenAsync(string tenant, InputSpec input, CancellationToken cancellationToken)
    {
        var isRemote = RemoteUri.Is(input.Uri);
        var places = isRemote ? _remotePlaces : _places;
        using var limit = new CancellationTokenSource(isRemote ? LongestFetch : Timeout.InfiniteTimeSpan, _clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            await places.WaitAsync(either.Token);
            try
            {
                return await TabularInput.OpenAsync(input, _store.For(tenant), TabularInput.FilesAtSubmit, cancellationToken: either.Token);
            }
            finally
            {
                places.Release();
            }
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new FailureException(
                new Failure(FailureCodes.ArtifactsUnavailable, $"The input could not be looked at within {LongestFetch.TotalSeconds} s. Try again later."), isTransient: true);
        }
    }

    public void Dispose()
    {
        _places.Dispose();
        _remotePlaces.Dispose();
    }
}
