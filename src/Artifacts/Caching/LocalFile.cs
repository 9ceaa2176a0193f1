using Microsoft.Win32.SafeHandles;

namespace Artifacts.Caching;

/// <summary>A file that can be read by its path until this is disposed.</summary>
public sealed class LocalFile : IDisposable
{
    readonly SafeFileHandle? hold;
    readonly bool isTemporary;

    /// <param name="hold">Keeps a cached file from being evicted; null where nobody would.</param>
    internal LocalFile(string path, SafeFileHandle? hold = null, bool isTemporary = false) => (Path, this.hold, this.isTemporary) = (path, hold, isTemporary);

    /// <summary>One that nobody takes away.</summary>
    public static LocalFile Here(string path) => new(path);

    public string Path { get; }

    public void Dispose()
    {
        if (isTemporary)
            File.Delete(Path);
        hold?.Dispose();
    }
}
