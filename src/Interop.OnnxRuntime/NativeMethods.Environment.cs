namespace Interop.OnnxRuntime;

static unsafe partial class NativeMethods
{
    internal static nint CreateEnvWithCustomLogger(
        delegate* unmanaged<nint, int, byte*, byte*, byte*, byte*, void> log, nint parameter, int severity, byte* logId, nint* env) =>
        ((delegate* unmanaged<delegate* unmanaged<nint, int, byte*, byte*, byte*, byte*, void>, nint, int, byte*, nint*, nint>)table[4])(
            log, parameter, severity, logId, env);

    internal static nint DisableTelemetryEvents(nint env) => ((delegate* unmanaged<nint, nint>)table[6])(env);

    internal static nint GetAvailableProviders(byte*** providers, int* count) =>
        ((delegate* unmanaged<byte***, int*, nint>)table[125])(providers, count);

    internal static nint ReleaseAvailableProviders(byte** providers, int count) =>
        ((delegate* unmanaged<byte**, int, nint>)table[126])(providers, count);

    internal static nint UpdateEnvWithCustomLogLevel(nint env, int severity) =>
        ((delegate* unmanaged<nint, int, nint>)table[226])(env, severity);

    internal static nint CreateAndRegisterAllocator(nint env, nint memoryInfo, nint arena) =>
        ((delegate* unmanaged<nint, nint, nint, nint>)table[144])(env, memoryInfo, arena);

    internal static nint CreateArenaCfg(nuint mostBytes, int extendStrategy, int initialBytes, int mostDeadBytes, nint* arena) =>
        ((delegate* unmanaged<nuint, int, int, int, nint*, nint>)table[156])(mostBytes, extendStrategy, initialBytes, mostDeadBytes, arena);

    internal static nint RegisterExecutionProviderLibrary(nint env, byte* name, byte* path) =>
        ((delegate* unmanaged<nint, byte*, byte*, nint>)table[301])(env, name, path);

    internal static nint UnregisterExecutionProviderLibrary(nint env, byte* name) =>
        ((delegate* unmanaged<nint, byte*, nint>)table[302])(env, name);

    internal static nint GetEpDevices(nint env, nint** devices, nuint* count) =>
        ((delegate* unmanaged<nint, nint**, nuint*, nint>)table[303])(env, devices, count);

    internal static byte* EpDevice_EpName(nint device) => ((delegate* unmanaged<nint, byte*>)table[312])(device);
}
