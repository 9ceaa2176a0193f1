using System.Runtime.InteropServices;

namespace GpuWorker.Inference;

/// <summary>Cleared native memory on a cache line's border.</summary>
sealed unsafe class AlignedBuffer : SafeHandle
{
    const int CacheLine = 64;

    internal AlignedBuffer(long bytes) : base(0, ownsHandle: true)
    {
        // One line more: kernels may read a little past the end.
        Length = bytes;
        var memory = NativeMemory.AlignedAlloc((nuint)bytes + CacheLine, CacheLine);
        NativeMemory.Clear(memory, (nuint)bytes + CacheLine);
        SetHandle((nint)memory);
    }

    internal long Length { get; }

    internal byte* Pointer => (byte*)handle;

    public override bool IsInvalid => handle == 0;

    protected override bool ReleaseHandle()
    {
        NativeMemory.AlignedFree((void*)handle);
        return true;
    }
}
