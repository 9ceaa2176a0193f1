using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using System.Text;

namespace Interop.OnnxRuntime;

// The C API is one struct of function pointers, which only grows at its end. Each method below has the C name and its slot.
// Statuses are returned as they are: Check turns one into an exception and releases it.
// https://onnxruntime.ai/docs/api/c/struct_ort_api.html
static unsafe partial class NativeMethods
{
    static nint* table;

    internal static bool IsBound => table != null;

    internal static void Bind(nint api) => table = (nint*)api;

    internal static nint CreateStatus(int code, byte* message) => ((delegate* unmanaged<int, byte*, nint>)table[0])(code, message);

    internal static int GetErrorCode(nint status) => ((delegate* unmanaged<nint, int>)table[1])(status);

    internal static byte* GetErrorMessage(nint status) => ((delegate* unmanaged<nint, byte*>)table[2])(status);

    /// <summary>All ReleaseX functions have the same shape; the handles know their slots.</summary>
    internal static void Release(int slot, nint instance) => ((delegate* unmanaged<nint, void>)table[slot])(instance);

    internal static nint GetAllocatorWithDefaultOptions(nint* allocator) =>
        ((delegate* unmanaged<nint*, nint>)table[78])(allocator);

    internal static nint AllocatorFree(nint allocator, void* memory) =>
        ((delegate* unmanaged<nint, void*, nint>)table[76])(allocator, memory);

    internal static nint CreateCpuMemoryInfo(int allocatorType, int memoryType, nint* info) =>
        ((delegate* unmanaged<int, int, nint*, nint>)table[69])(allocatorType, memoryType, info);

    internal static void Check(nint status)
    {
        if (status != 0)
            Throw(status);
    }

    [DoesNotReturn, StackTraceHidden]
    static void Throw(nint status)
    {
        var error = new OnnxException((OnnxErrorCode)GetErrorCode(status), Text(GetErrorMessage(status)));
        Release(Slot.ReleaseStatus, status);
        throw error;
    }

    internal static string Text(byte* text) => Marshal.PtrToStringUTF8((nint)text) ?? "";

    /// <summary>NUL-terminated UTF-8. A NUL inside would cut the text silently, so it is refused.</summary>
    internal static byte[] Utf8(string text)
    {
        if (text.Contains('\0', StringComparison.Ordinal))
            throw new ArgumentException("The text must not contain NUL.", nameof(text));
        var bytes = new byte[Encoding.UTF8.GetByteCount(text) + 1];
        Encoding.UTF8.GetBytes(text, bytes);
        return bytes;
    }

    /// <summary>Text that the library allocated for us.</summary>
    internal static string TakeText(byte* text)
    {
        var result = Text(text);
        Check(AllocatorFree(Defaults.Allocator, text));
        return result;
    }
}

/// <summary>The CPU allocator and memory description; both live as long as the process.</summary>
static unsafe class Defaults
{
    const int DeviceAllocator = 0;
    const int MemoryTypeDefault = 0;

    internal static nint Allocator { get; } = GetAllocator();

    internal static nint CpuMemory { get; } = GetCpuMemory();

    static nint GetAllocator()
    {
        nint allocator;
        NativeMethods.Check(NativeMethods.GetAllocatorWithDefaultOptions(&allocator));
        return allocator;
    }

    static nint GetCpuMemory()
    {
        nint info;
        NativeMethods.Check(NativeMethods.CreateCpuMemoryInfo(DeviceAllocator, MemoryTypeDefault, &info));
        return info;
    }
}
