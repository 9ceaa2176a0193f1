using System.ComponentModel;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Artifacts;

/// <summary>What .NET has no call for: kinds of files, and fsync of a folder.</summary>
static partial class Posix
{
    const int AtCurrentFolder = -100;
    const int AtEmptyPath = 0x1000;
    const uint StatxLinks = 4;
    const int StatxLinksOffset = 16;
    const uint StatxType = 1;
    const int StatxModeOffset = 28;
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

    /// <summary>Whether an open file has no name any more: whoever opens its path gets another, or none.</summary>
    public static bool IsDeleted(SafeFileHandle file)
    {
        Span<byte> facts = stackalloc byte[StatxSize];
        return statx(file, "", AtEmptyPath, StatxLinks, facts) != 0 || MemoryMarshal.Read<uint>(facts[StatxLinksOffset..]) == 0;
    }

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

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fsync(int descriptor);

    [LibraryImport("libc")]
    private static partial int close(int descriptor);
}
