using Artifacts.Blobs;

namespace Artifacts;

/// <summary>A file on its way: written to a place of its own, and there for others wholly or not at all once it is sealed.</summary>
public sealed class OutgoingFile : IDisposable
{
    readonly string? path;
    readonly BlobPlace? blob;

    internal OutgoingFile(string uri, string temporaryPath, BlobPlace blob) => (Uri, TemporaryPath, this.blob) = (uri, temporaryPath, blob);

    OutgoingFile(string uri, string temporaryPath, string path) => (Uri, TemporaryPath, this.path) = (uri, temporaryPath, path);

    internal static OutgoingFile Local(string uri, string path)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        return new OutgoingFile(uri, ArtifactStore.TemporaryName(path), path);
    }

    public string Uri { get; }

    /// <summary>Where to write it. Whoever writes closes it before it is sealed.</summary>
    public string TemporaryPath { get; }

    /// <exception cref="Contracts.FailureException"><c>file_exists</c>: a blob of that name holds something else.</exception>
    public async Task<FileDigest> SealAsync(CancellationToken cancellationToken)
    {
        var digest = await ArtifactStore.DigestAsync(TemporaryPath, cancellationToken);
        if (blob is null)
        {
            ArtifactStore.Seal(TemporaryPath, path!);
            return digest;
        }
        await using var content = new FileStream(TemporaryPath, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, useAsync: true);
        await BlobFiles.WriteAsync(blob, content, digest, cancellationToken);
        return digest;
    }

    public void Dispose() => File.Delete(TemporaryPath);
}
