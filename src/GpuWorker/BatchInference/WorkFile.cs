using Artifacts;
using Contracts.BatchInference;

namespace GpuWorker.BatchInference;

/// <summary>
/// A file under the work folder that nobody sees until it is whole. Its name holds the execution: two workers on one unit never
/// write the same file.
/// </summary>
sealed class WorkFile(ArtifactStore store, string workUri, string name) : IDisposable
{
    readonly OutgoingFile file = store.Create(FileUri.Append(workUri, name), "workUri");

    public string TemporaryPath => file.TemporaryPath;

    public async Task<PartFile> SealAsync(long rows, CancellationToken cancellationToken)
    {
        var digest = await file.SealAsync(cancellationToken);
        return new PartFile(file.Uri, rows, digest.Length, digest.Sha256);
    }

    public void Dispose() => file.Dispose();
}
