namespace Interop.OnnxRuntime;

static unsafe partial class NativeMethods
{
    internal static nint CreateRunOptions(nint* options) => ((delegate* unmanaged<nint*, nint>)table[39])(options);

    internal static nint RunOptionsSetTerminate(nint options) => ((delegate* unmanaged<nint, nint>)table[46])(options);

    internal static nint RunOptionsUnsetTerminate(nint options) => ((delegate* unmanaged<nint, nint>)table[47])(options);

    internal static nint AddRunConfigEntry(nint options, byte* key, byte* value) =>
        ((delegate* unmanaged<nint, byte*, byte*, nint>)table[165])(options, key, value);

    internal static nint CreateLoraAdapter(byte* path, nint allocator, nint* adapter) =>
        ((delegate* unmanaged<byte*, nint, nint*, nint>)table[280])(path, allocator, adapter);

    internal static nint CreateLoraAdapterFromArray(void* bytes, nuint length, nint allocator, nint* adapter) =>
        ((delegate* unmanaged<void*, nuint, nint, nint*, nint>)table[281])(bytes, length, allocator, adapter);

    internal static nint RunOptionsAddActiveLoraAdapter(nint options, nint adapter) =>
        ((delegate* unmanaged<nint, nint, nint>)table[283])(options, adapter);

    internal static nint RunWithBinding(nint session, nint runOptions, nint binding) =>
        ((delegate* unmanaged<nint, nint, nint, nint>)table[133])(session, runOptions, binding);

    internal static nint CreateIoBinding(nint session, nint* binding) => ((delegate* unmanaged<nint, nint*, nint>)table[134])(session, binding);

    internal static nint BindInput(nint binding, byte* name, nint value) =>
        ((delegate* unmanaged<nint, byte*, nint, nint>)table[136])(binding, name, value);

    internal static nint BindOutput(nint binding, byte* name, nint value) =>
        ((delegate* unmanaged<nint, byte*, nint, nint>)table[137])(binding, name, value);

    internal static nint BindOutputToDevice(nint binding, byte* name, nint memoryInfo) =>
        ((delegate* unmanaged<nint, byte*, nint, nint>)table[138])(binding, name, memoryInfo);

    internal static nint GetBoundOutputNames(nint binding, nint allocator, byte** buffer, nuint** lengths, nuint* count) =>
        ((delegate* unmanaged<nint, nint, byte**, nuint**, nuint*, nint>)table[139])(binding, allocator, buffer, lengths, count);

    internal static nint GetBoundOutputValues(nint binding, nint allocator, nint** values, nuint* count) =>
        ((delegate* unmanaged<nint, nint, nint**, nuint*, nint>)table[140])(binding, allocator, values, count);

    internal static void ClearBoundInputs(nint binding) => ((delegate* unmanaged<nint, void>)table[141])(binding);

    internal static void ClearBoundOutputs(nint binding) => ((delegate* unmanaged<nint, void>)table[142])(binding);
}
