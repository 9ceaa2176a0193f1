using Artifacts;
using Contracts.BatchInference;

namespace GpuWorker.BatchInference;

/// <summary>
/// A file under the work folder that nobody sees until it is whole. Its name holds the execution: two workers on one unit never
/// write the same file.
/// </summary>
sealed class WorkFile : IDisposable
{
    readonly string path;
    readonly string uri;

    public WorkFile(ArtifactStore store, string workUri, string name)
    {
        uri = FileUri.Append(workUri, name);
        path = store.LocalPath(uri, ArtifactAccess.Output, "workUri");
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        TemporaryPath = ArtifactStore.TemporaryName(path);
    }

    public string TemporaryPath { get; }

    public async Task<PartFile> SealAsync(long rows, CancellationToken cancellationToken)
    {
        var digest = await ArtifactStore.DigestAsync(TemporaryPath, cancellationToken);
        ArtifactStore.Seal(TemporaryPath, path);
        return new PartFile(uri, rows, digest.Length, digest.Sha256);
    }

    public void Dispose() => File.Delete(TemporaryPath);
}
