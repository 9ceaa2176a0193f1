using Microsoft.Win32.SafeHandles;

namespace Artifacts;

/// <summary>Files that must be fetched before they can be read.</summary>
interface IRemoteFiles
{
    /// <summary>Writes all of the file that was pinned into <paramref name="target"/>, or fails.</summary>
    /// <exception cref="Contracts.FailureException"><c>input_changed</c>: it is another file by now.</exception>
    Task DownloadAsync(PinnedFile file, SafeFileHandle target, CancellationToken cancellationToken);

    /// <summary>Some bytes of the file that was pinned; null where the server gives only whole files.</summary>
    Task<byte[]?> ReadAsync(PinnedFile file, long offset, int count, CancellationToken cancellationToken);
}
