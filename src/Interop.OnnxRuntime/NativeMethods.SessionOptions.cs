namespace Interop.OnnxRuntime;

static unsafe partial class NativeMethods
{
    internal static nint CreateSessionOptions(nint* options) => ((delegate* unmanaged<nint*, nint>)table[10])(options);

    internal static nint SetSessionExecutionMode(nint options, int mode) => ((delegate* unmanaged<nint, int, nint>)table[13])(options, mode);

    internal static nint DisableMemPattern(nint options) => ((delegate* unmanaged<nint, nint>)table[17])(options);

    internal static nint DisableCpuMemArena(nint options) => ((delegate* unmanaged<nint, nint>)table[19])(options);

    internal static nint SetSessionLogId(nint options, byte* id) => ((delegate* unmanaged<nint, byte*, nint>)table[20])(options, id);

    internal static nint SetSessionLogSeverityLevel(nint options, int level) =>
        ((delegate* unmanaged<nint, int, nint>)table[22])(options, level);

    internal static nint SetSessionGraphOptimizationLevel(nint options, int level) =>
        ((delegate* unmanaged<nint, int, nint>)table[23])(options, level);

    internal static nint SetIntraOpNumThreads(nint options, int threads) => ((delegate* unmanaged<nint, int, nint>)table[24])(options, threads);

    internal static nint SetInterOpNumThreads(nint options, int threads) => ((delegate* unmanaged<nint, int, nint>)table[25])(options, threads);

    internal static nint AddFreeDimensionOverrideByName(nint options, byte* name, long value) =>
        ((delegate* unmanaged<nint, byte*, long, nint>)table[124])(options, name, value);

    internal static nint AddSessionConfigEntry(nint options, byte* key, byte* value) =>
        ((delegate* unmanaged<nint, byte*, byte*, nint>)table[130])(options, key, value);

    internal static nint SessionOptionsAppendExecutionProvider_TensorRT_V2(nint options, nint providerOptions) =>
        ((delegate* unmanaged<nint, nint, nint>)table[170])(options, providerOptions);

    internal static nint CreateTensorRTProviderOptions(nint* providerOptions) =>
        ((delegate* unmanaged<nint*, nint>)table[171])(providerOptions);

    internal static nint UpdateTensorRTProviderOptions(nint providerOptions, byte** keys, byte** values, nuint count) =>
        ((delegate* unmanaged<nint, byte**, byte**, nuint, nint>)table[172])(providerOptions, keys, values, count);

    internal static nint SessionOptionsAppendExecutionProvider_CUDA_V2(nint options, nint providerOptions) =>
        ((delegate* unmanaged<nint, nint, nint>)table[204])(options, providerOptions);

    internal static nint CreateCUDAProviderOptions(nint* providerOptions) =>
        ((delegate* unmanaged<nint*, nint>)table[205])(providerOptions);

    internal static nint UpdateCUDAProviderOptions(nint providerOptions, byte** keys, byte** values, nuint count) =>
        ((delegate* unmanaged<nint, byte**, byte**, nuint, nint>)table[206])(providerOptions, keys, values, count);

    internal static nint SessionOptionsAppendExecutionProvider(nint options, byte* name, byte** keys, byte** values, nuint count) =>
        ((delegate* unmanaged<nint, byte*, byte**, byte**, nuint, nint>)table[216])(options, name, keys, values, count);

    internal static nint SessionOptionsAppendExecutionProvider_V2(
        nint options, nint env, nint* devices, nuint deviceCount, byte** keys, byte** values, nuint count) =>
        ((delegate* unmanaged<nint, nint, nint*, nuint, byte**, byte**, nuint, nint>)table[304])(
            options, env, devices, deviceCount, keys, values, count);
}
