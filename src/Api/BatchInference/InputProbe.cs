using Artifacts;
using Artifacts.Tabular;
using Contracts.BatchInference;
using Interop.DuckDb;
using ServiceDefaults;

namespace Api.BatchInference;

/// <summary>Opens the first files of an input while the caller waits. A few at a time: each opening has a DuckDB of its own.</summary>
sealed class InputProbe : IDisposable
{
    readonly SemaphoreSlim _places = new(Math.Max(2, Environment.ProcessorCount));
    readonly ArtifactStore _store;

    public InputProbe(ArtifactStore store)
    {
        _store = store;
        // The host may have chosen another place for it already.
        if (DuckDbLibrary.Version is null)
            DuckDbLibrary.Load(NativeParts.DuckDb());
    }

    /// <param name="tenant">Who asks.</param>
    /// <exception cref="Contracts.FailureException">The input cannot be scored, and why.</exception>
    public async Task<TabularInput> OpenAsync(string tenant, InputSpec input, CancellationToken cancellationToken)
    {
        await _places.WaitAsync(cancellationToken);
        try
        {
            return await TabularInput.OpenAsync(input, _store.For(tenant), TabularInput.FilesAtSubmit, cancellationToken: cancellationToken);
        }
        finally
        {
            _places.Release();
        }
    }

    public void Dispose() => _places.Dispose();
}
