using Microsoft.Win32.SafeHandles;

namespace Artifacts.Caching;

/// <summary>Locks that processes share: the kernel takes them back from one that was killed.</summary>
static class FileLock
{
    const int WouldBlock = 11; // EWOULDBLOCK, which is what .NET puts there

    static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(20);

    /// <summary>Alone with the file, which is made where it is missing; null while anybody else has it.</summary>
    public static SafeFileHandle? TryTake(string path, FileMode mode = FileMode.OpenOrCreate)
    {
        try
        {
            var handle = File.OpenHandle(path, mode, FileAccess.ReadWrite, FileShare.None, FileOptions.Asynchronous);
            if (Posix.IsAt(handle, path))
                return handle;
            handle.Dispose();
            return null;
        }
        catch (IOException e) when (e.HResult == WouldBlock)
        {
            return null;
        }
    }

    /// <summary>With others that only read; null while somebody is alone with it.</summary>
    /// <exception cref="FileNotFoundException">It is not there.</exception>
    public static SafeFileHandle? TryShare(string path)
    {
        try
        {
            return File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read);
        }
        catch (IOException e) when (e.HResult == WouldBlock)
        {
            return null;
        }
    }

    public static async Task<SafeFileHandle> TakeAsync(string path, CancellationToken cancellationToken)
    {
        while (true)
        {
            if (TryTake(path) is { } handle)
                return handle;
            await Task.Delay(Pause, cancellationToken);
        }
    }
}
