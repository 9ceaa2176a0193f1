using System.ComponentModel;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Artifacts;

/// <summary>What .NET has no call for: kinds of files, and fsync of a folder.</summary>
static partial class Posix
{
    const int AtCurrentFolder = -100;
    const int AtEmptyPath = 0x1000;
    const uint StatxType = 1;
    const uint StatxInode = 0x100;
    const int StatxModeOffset = 28;
    const int StatxInodeOffset = 32;
    const int StatxDeviceOffset = 136; // major and minor
    const int StatxSize = 256;
    const int FileTypeMask = 0xF000;
    const int RegularFile = 0x8000;
    const int ReadOnlyFolder = 0x10000 | 0x80000; // O_DIRECTORY | O_CLOEXEC

    /// <summary>Neither folder, device, FIFO nor socket. Opening one of those may block for ever.</summary>
    public static bool IsRegularFile(string path)
    {
        Span<byte> facts = stackalloc byte[StatxSize];
        return statx(AtCurrentFolder, path, 0, StatxType, facts) == 0 &&
            (MemoryMarshal.Read<ushort>(facts[StatxModeOffset..]) & FileTypeMask) == RegularFile;
    }

    /// <summary>Whether the path still names the open file: else whoever opens the path gets another, or none. The file may have further names.</summary>
    public static bool IsAt(SafeFileHandle file, string path)
    {
        Span<byte> open = stackalloc byte[StatxSize];
        Span<byte> named = stackalloc byte[StatxSize];
        return statx(file, "", AtEmptyPath, StatxInode, open) == 0 && statx(AtCurrentFolder, path, 0, StatxInode, named) == 0
            && MemoryMarshal.Read<ulong>(open[StatxInodeOffset..]) == MemoryMarshal.Read<ulong>(named[StatxInodeOffset..])
            && MemoryMarshal.Read<ulong>(open[StatxDeviceOffset..]) == MemoryMarshal.Read<ulong>(named[StatxDeviceOffset..]);
    }

    /// <summary>Gives a file one more name.</summary>
    /// <returns>False where that cannot be: on another file system, or on one that has no such names.</returns>
    public static bool TryLink(string path, string name) => link(path, name) == 0;

    /// <summary>Makes renames in the folder survive a power cut.</summary>
    public static void SyncFolder(string path)
    {
        var descriptor = open(path, ReadOnlyFolder);
        if (descriptor < 0)
            throw new IOException($"Cannot open the folder {path}.", new Win32Exception());
        try
        {
            if (fsync(descriptor) != 0)
                throw new IOException($"Cannot sync the folder {path}.", new Win32Exception());
        }
        finally
        {
            _ = close(descriptor);
        }
    }

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int statx(int folder, string path, int flags, uint mask, Span<byte> facts);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int statx(SafeFileHandle file, string path, int flags, uint mask, Span<byte> facts);

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int link(string path, string name);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fsync(int descriptor);

    [LibraryImport("libc")]
    private static partial int close(int descriptor);
}
