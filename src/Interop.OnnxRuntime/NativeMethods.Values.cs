namespace Interop.OnnxRuntime;

static unsafe partial class NativeMethods
{
    internal static nint CreateTensorAsOrtValue(nint allocator, long* shape, nuint rank, int type, nint* value) =>
        ((delegate* unmanaged<nint, long*, nuint, int, nint*, nint>)table[48])(allocator, shape, rank, type, value);

    internal static nint CreateTensorWithDataAsOrtValue(nint memoryInfo, void* data, nuint bytes, long* shape, nuint rank, int type, nint* value) =>
        ((delegate* unmanaged<nint, void*, nuint, long*, nuint, int, nint*, nint>)table[49])(memoryInfo, data, bytes, shape, rank, type, value);

    internal static nint GetTensorMutableData(nint value, void** data) => ((delegate* unmanaged<nint, void**, nint>)table[51])(value, data);

    internal static nint GetStringTensorDataLength(nint value, nuint* bytes) => ((delegate* unmanaged<nint, nuint*, nint>)table[53])(value, bytes);

    internal static nint GetStringTensorContent(nint value, void* buffer, nuint bytes, nuint* offsets, nuint count) =>
        ((delegate* unmanaged<nint, void*, nuint, nuint*, nuint, nint>)table[54])(value, buffer, bytes, offsets, count);

    internal static nint GetTensorTypeAndShape(nint value, nint* info) => ((delegate* unmanaged<nint, nint*, nint>)table[65])(value, info);

    internal static nint GetValueType(nint value, int* kind) => ((delegate* unmanaged<nint, int*, nint>)table[67])(value, kind);

    internal static nint GetValue(nint value, int index, nint allocator, nint* item) =>
        ((delegate* unmanaged<nint, int, nint, nint*, nint>)table[80])(value, index, allocator, item);

    internal static nint GetValueCount(nint value, nuint* count) => ((delegate* unmanaged<nint, nuint*, nint>)table[81])(value, count);

    internal static nint CreateValue(nint* items, nuint count, int kind, nint* value) =>
        ((delegate* unmanaged<nint*, nuint, int, nint*, nint>)table[82])(items, count, kind, value);

    internal static nint HasValue(nint value, int* hasValue) => ((delegate* unmanaged<nint, int*, nint>)table[192])(value, hasValue);

    internal static nint GetTensorMemoryInfo(nint value, nint* memoryInfo) => ((delegate* unmanaged<nint, nint*, nint>)table[194])(value, memoryInfo);

    internal static void MemoryInfoGetDeviceType(nint memoryInfo, int* type) =>
        ((delegate* unmanaged<nint, int*, void>)table[225])(memoryInfo, type);

    internal static nint GetResizedStringTensorElementBuffer(nint value, nuint index, nuint bytes, byte** buffer) =>
        ((delegate* unmanaged<nint, nuint, nuint, byte**, nint>)table[252])(value, index, bytes, buffer);

    internal static nint GetSparseTensorFormat(nint value, int* format) => ((delegate* unmanaged<nint, int*, nint>)table[187])(value, format);
}
