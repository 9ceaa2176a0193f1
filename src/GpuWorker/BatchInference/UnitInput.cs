using Artifacts;
using Artifacts.Caching;
using Contracts;
using Contracts.BatchInference;

namespace GpuWorker.BatchInference;

/// <summary>The file a unit reads, as it was planned: here or fetched, and in place until this is disposed.</summary>
sealed class UnitInput : IDisposable
{
    readonly RowRange range;
    readonly LocalFile? copy;

    UnitInput(RowRange range, string path, LocalFile? copy) => (this.range, Path, this.copy) = (range, path, copy);

    public string Path { get; }

    /// <exception cref="FailureException"><c>input_changed</c>; or <c>artifacts_unavailable</c>, transient.</exception>
    public static async Task<UnitInput> OpenAsync(ArtifactStore own, RowRange range, string field, TimeProvider time, CancellationToken cancellationToken)
    {
        if (!RemoteUri.Is(range.Uri))
        {
            var here = new UnitInput(range, own.LocalPath(range.Uri, ArtifactAccess.Read, field), null);
            here.RequireUnchanged();
            return here;
        }
        var pinned = new PinnedFile(range.Uri, "", range.Source, range.Length, range.ModifiedTicks, range.ETag);
        var copy = await FetchPatience.WaitAsync(
            token => own.FetchAsync(pinned, token), $"{range.Source} with its {range.Length} bytes", TimeSpan.Zero, time, cancellationToken);
        return new UnitInput(range, copy.Path, copy);
    }

    /// <summary>Nobody changes a copy of what was pinned.</summary>
    public void RequireUnchanged()
    {
        if (copy is not null)
            return;
        if (!File.Exists(Path))
            throw Changed("is gone");
        // What we converted ourselves is known by its length: nobody else writes there.
        var modified = range.ModifiedTicks > 0 ? range.ModifiedTicks : File.GetLastWriteTimeUtc(Path).Ticks;
        if (!ArtifactStore.IsUnchanged(Path, range.Length, modified))
            throw Changed("is not the file that was planned");
    }

    public FailureException Changed(string how) =>
        new(FailureCodes.InputChanged, $"{range.Source} {how}; leave inputs alone until their job has ended, and submit it again.");

    public void Dispose() => copy?.Dispose();
}
