using System.Runtime.InteropServices;

namespace Interop.OnnxRuntime;

/// <summary>OrtLoggingLevel.</summary>
public enum OnnxLogSeverity
{
    Verbose = 0,
    Info = 1,
    Warning = 2,
    Error = 3,
    Fatal = 4,
}

/// <param name="Location">Source file and line inside the library.</param>
public readonly record struct OnnxLogMessage(OnnxLogSeverity Severity, string Category, string Location, string Text);

/// <summary>
/// The library's process-wide state, with its log turned to <c>log</c> instead of standard error. Several may exist; the library
/// shares one underneath, so every listener hears everything.
/// </summary>
public sealed unsafe class OnnxEnvironment : IDisposable
{
    static event Action<OnnxLogMessage>? Logged;

    readonly Action<OnnxLogMessage>? log;

    /// <param name="arenaBytes">Most memory of an arena on the CPU that the sessions share which ask for it by <see cref="OnnxSessionOptions.SharedArena"/>; 0 for none.</param>
    public OnnxEnvironment(OnnxLogSeverity minimum = OnnxLogSeverity.Warning, Action<OnnxLogMessage>? log = null, long arenaBytes = 0)
    {
        OnnxLibrary.RequireLoaded();
        this.log = log;
        nint env;
        fixed (byte* id = "sagas\0"u8)
            NativeMethods.Check(NativeMethods.CreateEnvWithCustomLogger(&OnLog, 0, (int)minimum, id, &env));
        Handle = new EnvHandle(env);
        NativeMethods.Check(NativeMethods.DisableTelemetryEvents(env));
        // The library keeps the level of whoever came first.
        NativeMethods.Check(NativeMethods.UpdateEnvWithCustomLogLevel(env, (int)minimum));
        if (arenaBytes > 0)
            RegisterArena(env, arenaBytes);
        Logged += log;
    }

    internal EnvHandle Handle { get; }

    /// <summary>Makes the execution providers in a plug-in library available under a name of our choice.</summary>
    public void RegisterProviderLibrary(string name, string path)
    {
        using var env = Handle.Borrow();
        fixed (byte* nameBytes = NativeMethods.Utf8(name), pathBytes = NativeMethods.Utf8(path))
            NativeMethods.Check(NativeMethods.RegisterExecutionProviderLibrary(env.Pointer, nameBytes, pathBytes));
    }

    /// <summary>No session may use the library's providers any more.</summary>
    public void UnregisterProviderLibrary(string name)
    {
        using var env = Handle.Borrow();
        fixed (byte* nameBytes = NativeMethods.Utf8(name))
            NativeMethods.Check(NativeMethods.UnregisterExecutionProviderLibrary(env.Pointer, nameBytes));
    }

    /// <summary>The provider of each device the library sees; plug-in providers appear here once registered.</summary>
    public IReadOnlyList<string> DeviceProviders() => [.. Devices().Select(device => device.Provider)];

    // The devices belong to the environment and live as long as it.
    internal IReadOnlyList<(nint Device, string Provider)> Devices()
    {
        using var env = Handle.Borrow();
        nint* devices;
        nuint count;
        NativeMethods.Check(NativeMethods.GetEpDevices(env.Pointer, &devices, &count));
        var result = new (nint, string)[(int)count];
        for (var i = 0; i < result.Length; i++)
            result[i] = (devices[i], NativeMethods.Text(NativeMethods.EpDevice_EpName(devices[i])));
        return result;
    }

    public void Dispose()
    {
        Logged -= log;
        Handle.Dispose();
    }

    static void RegisterArena(nint env, long bytes)
    {
        const int ArenaAllocator = 1, DefaultMemory = 0, AsRequested = 1, LibrarysChoice = -1;
        nint memory = 0, arena = 0;
        try
        {
            NativeMethods.Check(NativeMethods.CreateCpuMemoryInfo(ArenaAllocator, DefaultMemory, &memory));
            NativeMethods.Check(NativeMethods.CreateArenaCfg((nuint)bytes, AsRequested, LibrarysChoice, LibrarysChoice, &arena));
            NativeMethods.Check(NativeMethods.CreateAndRegisterAllocator(env, memory, arena));
        }
        finally
        {
            if (arena != 0)
                NativeMethods.Release(Slot.ReleaseArenaCfg, arena);
            if (memory != 0)
                NativeMethods.Release(Slot.ReleaseMemoryInfo, memory);
        }
    }

    [UnmanagedCallersOnly]
    static void OnLog(nint parameter, int severity, byte* category, byte* logId, byte* location, byte* message)
    {
        var listeners = Logged;
        if (listeners is null)
            return;
        try
        {
            listeners(new OnnxLogMessage(
                (OnnxLogSeverity)severity, NativeMethods.Text(category), NativeMethods.Text(location), NativeMethods.Text(message)));
        }
#pragma warning disable CA1031 // An exception that leaves here ends the process: native frames cannot carry it.
        catch (Exception)
#pragma warning restore CA1031
        {
        }
    }
}
