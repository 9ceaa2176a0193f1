using Artifacts.Caching;

namespace Artifacts.Tabular;

/// <summary>Tables that can be opened by their paths until this is disposed. Those of this machine are where they are.</summary>
public sealed class LocalTables : IDisposable
{
    const int FetchedAtOnce = 8;

    readonly LocalFile?[] fetched;

    LocalTables(LocalFile?[] fetched, IReadOnlyList<PinnedFile> files) => (this.fetched, Files) = (fetched, files);

    /// <summary>In the order asked for, each with its path.</summary>
    public IReadOnlyList<PinnedFile> Files { get; }

    /// <summary>Of Parquet only the footers are fetched: they tell columns and row groups. Of text, some records.</summary>
    public static async Task<LocalTables> FetchAsync(ArtifactStore store, IReadOnlyList<PinnedFile> files, string format, CancellationToken cancellationToken)
    {
        if (!files.Any(file => RemoteUri.Is(file.Uri)))
            return new LocalTables([], files);
        var fetched = new LocalFile?[files.Count];
        try
        {
            await Parallel.ForAsync(0, files.Count, new ParallelOptions { MaxDegreeOfParallelism = FetchedAtOnce, CancellationToken = cancellationToken }, async (i, token) =>
                fetched[i] = TabularFormat.IsText(format)
                    ? await store.FetchHeadAsync(files[i], isQuoted: format == TabularFormat.Csv, token)
                    : await store.FetchFooterAsync(files[i], token));
            return new LocalTables(fetched, [.. files.Zip(fetched, (file, local) => file with { Path = local!.Path })]);
        }
        catch
        {
            Release(fetched);
            throw;
        }
    }

    public void Dispose() => Release(fetched);

    static void Release(LocalFile?[] fetched)
    {
        foreach (var file in fetched)
            file?.Dispose();
    }
}
