using System.Buffers;
using Azure;
using Azure.Storage;
using Azure.Storage.Blobs.Models;
using Azure.Storage.Blobs.Specialized;
using Contracts;
using Microsoft.Win32.SafeHandles;

namespace Artifacts.Blobs;

/// <summary>What is done with blobs whose place has been judged.</summary>
sealed class BlobFiles(BlobPlaces places) : IRemoteFiles
{
    const int RangeBytes = 8 << 20;
    const int RangesAtOnce = 4;
    const int DeletesAtOnce = 16;
    const int LargestHashed = 4 << 20;

    /// <summary>Nobody waits for longer lists, and no job is planned from one.</summary>
    const int MostListed = 200_000;

    const string Sha256Name = "sha256";
    const string FolderMark = "hdi_isfolder";

    /// <returns>Null where there is no such blob.</returns>
    public static Task<PinnedFile?> TryPinAsync(BlobPlace place, string source, string? field, CancellationToken cancellationToken) =>
        RemoteFailures.TranslateAsync(source, field, async () =>
        {
            if (place.Name.Length == 0 || await PropertiesAsync(place, cancellationToken) is not { } found || found.Metadata.ContainsKey(FolderMark))
                return null;
            return Pin(place, source, found.ContentLength, found.LastModified, found.ETag);
        }, cancellationToken);

    /// <summary>All blobs below a prefix, by their whole names.</summary>
    public static Task<List<(BlobPlace Place, PinnedFile File)>> ListAsync(BlobPlace prefix, string folder, string field, CancellationToken cancellationToken) =>
        RemoteFailures.TranslateAsync($"{prefix.Container}/{prefix.Name}", field, async () =>
        {
            List<(BlobPlace, PinnedFile)> found = [];
            await foreach (var item in prefix.Account.Container(prefix.Container).GetBlobsAsync(BlobTraits.Metadata, BlobStates.None, prefix.Name, cancellationToken))
            {
                if (item.Metadata.ContainsKey(FolderMark) || item.Properties is not { ContentLength: { } length, LastModified: { } modified, ETag: { } tag })
                    continue;
                var place = prefix with { Name = item.Name };
                found.Add((place, Pin(place, item.Name[folder.Length..], length, modified, tag)));
                if (found.Count > MostListed)
                    throw FileUri.Refuse("input_too_large", field, $"There are more than {MostListed} blobs in it; give a folder of fewer.");
            }
            return found;
        }, cancellationToken);

    public async Task DownloadAsync(PinnedFile file, SafeFileHandle target, CancellationToken cancellationToken)
    {
        var offsets = Enumerable.Range(0, (int)((file.Length + RangeBytes - 1) / RangeBytes)).Select(i => (long)i * RangeBytes);
        await Parallel.ForEachAsync(offsets, new ParallelOptions { MaxDegreeOfParallelism = RangesAtOnce, CancellationToken = cancellationToken }, async (offset, token) =>
            await ReadRangeAsync(file, offset, (int)Math.Min(RangeBytes, file.Length - offset), (bytes, at) => RandomAccess.WriteAsync(target, bytes, offset + at, token), token));
    }

    public async Task<byte[]?> ReadAsync(PinnedFile file, long offset, int count, CancellationToken cancellationToken)
    {
        var content = new byte[count];
        await ReadRangeAsync(file, offset, count, (bytes, at) =>
        {
            bytes.CopyTo(content.AsMemory((int)at));
            return ValueTask.CompletedTask;
        }, cancellationToken);
        return content;
    }

    /// <summary>Uploads a file that is there wholly or not at all, with its hash. Repeating it with the same content is harmless.</summary>
    /// <exception cref="FailureException"><c>file_exists</c>: something else has the name.</exception>
    public static async Task WriteAsync(BlobPlace place, Stream content, FileDigest digest, CancellationToken cancellationToken)
    {
        var written = await RemoteFailures.TranslateAsync(place.Uri, null, async () =>
        {
            try
            {
                await place.Client.UploadAsync(content, new BlobUploadOptions
                {
                    Conditions = new BlobRequestConditions { IfNoneMatch = ETag.All },
                    Metadata = new Dictionary<string, string> { [Sha256Name] = digest.Sha256 },
                    TransferOptions = new StorageTransferOptions { InitialTransferSize = RangeBytes, MaximumTransferSize = RangeBytes, MaximumConcurrency = RangesAtOnce },
                    TransferValidation = new UploadTransferValidationOptions { ChecksumAlgorithm = StorageChecksumAlgorithm.MD5 },
                }, cancellationToken);
                return true;
            }
            catch (RequestFailedException e) when (e.Status is 409 or 412)
            {
                return false;
            }
        }, cancellationToken);
        // It may be ours: an answer that was lost on its way makes the client ask again.
        if (!written && !await HoldsAsync(place, digest, cancellationToken))
            throw new FailureException("file_exists", $"{place.Uri} is there already and holds something else. Choose another output folder.");
    }

    /// <summary>
    /// Copies a blob within its account without moving its bytes here. Repeating it is harmless: true when the target holds these bytes
    /// afterwards, whoever brought them; false when it holds others, or the source does not.
    /// </summary>
    public static async Task<bool> CopyAsync(BlobPlace from, BlobPlace to, FileDigest digest, CancellationToken cancellationToken)
    {
        if (from.Account.Name != to.Account.Name)
            throw new FailureException("blob_failed", $"{to.Uri} and {from.Uri} are in two accounts.");
        return await RemoteFailures.TranslateAsync(to.Uri, null, async () =>
        {
            var there = await PropertiesAsync(to, cancellationToken);
            // What a copy of ours left that was given up half-way: nobody else writes under this name.
            if (there is { BlobCopyStatus: CopyStatus.Failed or CopyStatus.Aborted })
            {
                await to.Client.DeleteIfExistsAsync(conditions: new BlobRequestConditions { IfMatch = there.ETag }, cancellationToken: cancellationToken);
                there = null;
            }
            if (there is null)
            {
                if (await PropertiesAsync(from, cancellationToken) is not { } source || !Holds(source, digest))
                    return false;
                try
                {
                    await to.Client.StartCopyFromUriAsync(from.Account.Source(from), new BlobCopyFromUriOptions
                    {
                        SourceConditions = new BlobRequestConditions { IfMatch = source.ETag },
                        DestinationConditions = new BlobRequestConditions { IfNoneMatch = ETag.All },
                    }, cancellationToken);
                }
                catch (RequestFailedException e) when (e.Status is 409 or 412 && e.ErrorCode is not "SourceConditionNotMet")
                {
                    // Another publisher was first.
                }
                there = await PropertiesAsync(to, cancellationToken);
            }
            while (there is { BlobCopyStatus: CopyStatus.Pending })
            {
                await Task.Delay(TimeSpan.FromMilliseconds(200), cancellationToken);
                there = await PropertiesAsync(to, cancellationToken);
            }
            return there is { BlobCopyStatus: null or CopyStatus.Success } && Holds(there, digest);
        }, cancellationToken);
    }

    /// <summary>Whether a blob is there with that length and content: by its bytes where they are few, else by the hash written with it.</summary>
    public static Task<bool> HoldsAsync(BlobPlace place, FileDigest digest, CancellationToken cancellationToken) =>
        RemoteFailures.TranslateAsync(place.Uri, null, async () =>
        {
            if (await PropertiesAsync(place, cancellationToken) is not { } found || found.ContentLength != digest.Length)
                return false;
            if (digest.Length > LargestHashed)
                return Holds(found, digest);
            var content = await place.Client.DownloadContentAsync(new BlobDownloadOptions { Conditions = new BlobRequestConditions { IfMatch = found.ETag } }, cancellationToken);
            return FileDigest.Of(content.Value.Content.ToMemory().Span) == digest;
        }, cancellationToken);

    public static Task<bool> ExistsAsync(BlobPlace place, CancellationToken cancellationToken) =>
        RemoteFailures.TranslateAsync(place.Uri, null, async () => await PropertiesAsync(place, cancellationToken) is not null, cancellationToken);

    /// <summary>Removes whatever lies below the folder.</summary>
    /// <param name="before">Only what was written before; null for all.</param>
    public async Task DeleteFolderAsync(BlobPlace folder, CancellationToken cancellationToken, DateTimeOffset? before = null)
    {
        if (folder.Name.Length == 0 || places.IsShared(folder))
            throw FileUri.Refuse("path_outside_roots", "uri", $"{folder.Container}/{folder.Name} is a configured place, which is never deleted.");
        await RemoteFailures.TranslateAsync(folder.Uri, null, async () =>
        {
            var container = folder.Account.Container(folder.Container);
            var found = container.GetBlobsAsync(BlobTraits.None, BlobStates.None, folder.Name.TrimEnd('/') + '/', cancellationToken);
            await Parallel.ForEachAsync(found, new ParallelOptions { MaxDegreeOfParallelism = DeletesAtOnce, CancellationToken = cancellationToken }, async (item, token) =>
            {
                if (before is null || item.Properties.LastModified < before)
                    await container.GetBlobBaseClient(item.Name).DeleteIfExistsAsync(DeleteSnapshotsOption.IncludeSnapshots, cancellationToken: token);
            });
        }, cancellationToken);
    }

    static PinnedFile Pin(BlobPlace place, string source, long length, DateTimeOffset modified, ETag tag) =>
        new(place.Uri, "", source, length, modified.UtcTicks, tag.ToString().Trim('"'));

    // The service's own listing gives it without quotes, its answers with.
    static BlobRequestConditions Unchanged(PinnedFile file) => new() { IfMatch = new ETag($"\"{file.ETag}\"") };

    static bool Holds(BlobProperties found, FileDigest digest) =>
        found.ContentLength == digest.Length && found.Metadata.TryGetValue(Sha256Name, out var sha256) && sha256 == digest.Sha256;

    static async Task<BlobProperties?> PropertiesAsync(BlobPlace place, CancellationToken cancellationToken)
    {
        try
        {
            return await place.Client.GetPropertiesAsync(cancellationToken: cancellationToken);
        }
        catch (RequestFailedException e) when (e.Status == 404)
        {
            return null;
        }
    }

    async Task ReadRangeAsync(PinnedFile file, long offset, int count, Func<ReadOnlyMemory<byte>, long, ValueTask> write, CancellationToken cancellationToken)
    {
        var place = places.Find(RemoteUri.Parse(file.Uri, "uri"), null, ArtifactAccess.Read, "uri");
        await RemoteFailures.TranslateAsync(file.Source, null, async () =>
        {
            try
            {
                using var range = (await place.Client.DownloadStreamingAsync(new BlobDownloadOptions { Range = new HttpRange(offset, count), Conditions = Unchanged(file) }, cancellationToken)).Value;
                var buffer = ArrayPool<byte>.Shared.Rent(1 << 18);
                try
                {
                    var read = 0;
                    for (int length; read < count && (length = await range.Content.ReadAsync(buffer.AsMemory(0, Math.Min(buffer.Length, count - read)), cancellationToken)) > 0; read += length)
                        await write(buffer.AsMemory(0, length), read);
                    if (read < count)
                        throw new IOException("The answer ended early.");
                }
                finally
                {
                    ArrayPool<byte>.Shared.Return(buffer);
                }
            }
            catch (RequestFailedException e) when (e.Status is 404 or 416)
            {
                throw RemoteFailures.Changed(file.Source);
            }
        }, cancellationToken);
    }
}
