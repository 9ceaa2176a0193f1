namespace Interop.OnnxRuntime;

static unsafe partial class NativeMethods
{
    internal static nint MemoryInfoGetName(nint memoryInfo, byte** name) => ((delegate* unmanaged<nint, byte**, nint>)table[71])(memoryInfo, name);

    internal static nint MemoryInfoGetId(nint memoryInfo, int* id) => ((delegate* unmanaged<nint, int*, nint>)table[72])(memoryInfo, id);

    internal static nint CreateAllocator(nint session, nint memoryInfo, nint* allocator) =>
        ((delegate* unmanaged<nint, nint, nint*, nint>)table[131])(session, memoryInfo, allocator);

    internal static void GetKeyValuePairs(nint pairs, byte*** keys, byte*** values, nuint* count) =>
        ((delegate* unmanaged<nint, byte***, byte***, nuint*, void>)table[298])(pairs, keys, values, count);

    internal static nint AllocatorGetStats(nint allocator, nint* pairs) => ((delegate* unmanaged<nint, nint*, nint>)table[319])(allocator, pairs);

    internal static nint SessionGetMemoryInfoForInputs(nint session, nint* memoryInfos, nuint count) =>
        ((delegate* unmanaged<nint, nint*, nuint, nint>)table[380])(session, memoryInfos, count);
}
