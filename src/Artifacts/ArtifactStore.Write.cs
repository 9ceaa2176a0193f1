using System.Security.Cryptography;
using Artifacts.Blobs;

namespace Artifacts;

/// <summary>What a written file is known by.</summary>
public sealed record FileDigest(long Length, string Sha256)
{
    public static FileDigest Of(ReadOnlySpan<byte> content) => new(content.Length, Convert.ToHexStringLower(SHA256.HashData(content)));
}

public sealed partial class ArtifactStore
{
    /// <summary>Writes a file that is there wholly or not at all, also after a power cut.</summary>
    public async Task<FileDigest> WriteAsync(string uri, ReadOnlyMemory<byte> content, CancellationToken cancellationToken = default)
    {
        if (RemoteUri.Is(uri))
        {
            var written = FileDigest.Of(content.Span);
            await BlobFiles.WriteAsync(OutputBlob(uri), BinaryData.FromBytes(content).ToStream(), written, cancellationToken);
            return written;
        }
        var path = LocalPath(uri, ArtifactAccess.Output);
        var temporary = TemporaryName(path);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        try
        {
            await File.WriteAllBytesAsync(temporary, content, cancellationToken);
            Seal(temporary, path);
        }
        finally
        {
            File.Delete(temporary);
        }
        return FileDigest.Of(content.Span);
    }

    /// <summary>A name beside <paramref name="path"/> that no listing counts and nobody else uses.</summary>
    public static string TemporaryName(string path) =>
        Path.Join(Path.GetDirectoryName(path), $".{Path.GetFileName(path)}.{Guid.CreateVersion7():n}.tmp");

    /// <summary>Gives a finished temporary file its name: content on disk first, then the name.</summary>
    public static void Seal(string temporary, string path)
    {
        using (var file = File.OpenHandle(temporary, FileMode.Open, FileAccess.ReadWrite))
            RandomAccess.FlushToDisk(file);
        File.Move(temporary, path, overwrite: true);
        Posix.SyncFolder(Path.GetDirectoryName(path)!);
    }

    /// <summary>
    /// Renames a file, or copies a blob. Repeating it is harmless: true when the target holds these bytes afterwards, whoever moved them;
    /// false when neither source nor target does.
    /// </summary>
    public async Task<bool> MoveAsync(string fromUri, string toUri, FileDigest digest, CancellationToken cancellationToken = default)
    {
        if (RemoteUri.Is(toUri))
            return await BlobFiles.CopyAsync(OutputBlob(fromUri), OutputBlob(toUri), digest, cancellationToken);
        var (from, to) = (LocalPath(fromUri, ArtifactAccess.Output), LocalPath(toUri, ArtifactAccess.Output));
        if (await HoldsAsync(to, digest, cancellationToken))
            return true;
        if (File.Exists(to) || !await HoldsAsync(from, digest, cancellationToken))
            return false;
        Directory.CreateDirectory(Path.GetDirectoryName(to)!);
        try
        {
            File.Move(from, to, overwrite: false);
        }
        catch (IOException) when (File.Exists(to))
        {
            return await HoldsAsync(to, digest, cancellationToken);
        }
        Posix.SyncFolder(Path.GetDirectoryName(to)!);
        return true;
    }

    /// <summary>Whether the file is there with that length and content.</summary>
    public Task<bool> HoldsAsync(string uri, FileDigest digest, ArtifactAccess access, CancellationToken cancellationToken = default) => RemoteUri.Is(uri)
        ? BlobFiles.HoldsAsync(Blob(uri, access, "uri"), digest, cancellationToken)
        : HoldsAsync(LocalPath(uri, access), digest, cancellationToken);

    /// <summary>Length and hash of a file, by its real path.</summary>
    public static async Task<FileDigest> DigestAsync(string path, CancellationToken cancellationToken = default)
    {
        await using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 1 << 20, FileOptions.SequentialScan);
        var hash = await SHA256.HashDataAsync(file, cancellationToken);
        return new FileDigest(file.Length, Convert.ToHexStringLower(hash));
    }

    /// <summary>Whether a file of ours is there, whatever it holds.</summary>
    public Task<bool> ExistsAsync(string uri, CancellationToken cancellationToken = default) => RemoteUri.Is(uri)
        ? BlobFiles.ExistsAsync(OutputBlob(uri), cancellationToken)
        : Task.FromResult(File.Exists(LocalPath(uri, ArtifactAccess.Output)));

    /// <summary>Removes a folder that nothing is in; leaves any other alone. Blobs have none.</summary>
    public void DeleteFolderIfEmpty(string uri)
    {
        if (RemoteUri.Is(uri))
            return;
        var path = LocalPath(uri, ArtifactAccess.Output);
        if (!places.IsShared(path) && Directory.Exists(path) && !Directory.EnumerateFileSystemEntries(path).Any())
            Directory.Delete(path);
    }

    /// <summary>Removes a folder under the output roots with all that is in it. Links in it are removed, never followed.</summary>
    public async Task DeleteFolderAsync(string uri, CancellationToken cancellationToken = default)
    {
        if (RemoteUri.Is(uri))
            await remotes.Blobs.DeleteFolderAsync(OutputBlob(uri), cancellationToken);
        else
            DeleteFolder(uri);
    }

    internal void DeleteFolder(string uri)
    {
        var path = LocalPath(uri, ArtifactAccess.Output);
        var named = '/' + string.Join('/', FileUri.RawSegments(uri, "uri").Select(s => FileUri.Decode(s, "uri")));
        if (places.IsShared(path) || new DirectoryInfo(named).LinkTarget is not null)
            throw FileUri.Refuse("path_outside_roots", "uri", $"{named} is an output root, a tenant's folder or a link, which are never deleted.");
        if (Directory.Exists(path))
            Directory.Delete(path, recursive: true);
    }

    static async Task<bool> HoldsAsync(string path, FileDigest digest, CancellationToken cancellationToken) =>
        new FileInfo(path) is { Exists: true } file && file.Length == digest.Length && await DigestAsync(path, cancellationToken) == digest;
}
