namespace Interop.OnnxRuntime;

/// <summary>GraphOptimizationLevel.</summary>
public enum OnnxOptimization
{
    None = 0,
    Basic = 1,
    Extended = 2,
    All = 99,
}

/// <summary>How a session is opened. A plain description: it may be kept and used for any number of sessions.</summary>
public sealed class OnnxSessionOptions
{
    /// <summary>Threads inside one operator, the caller included; 0 lets the library take all cores. Default: 0.</summary>
    public int IntraOpThreads { get; init; }

    /// <summary>Threads across operators; matters only with <see cref="Parallel"/>. Default: 0, the library's choice.</summary>
    public int InterOpThreads { get; init; }

    /// <summary>Run independent branches of the graph at once. Default: false.</summary>
    public bool Parallel { get; init; }

    /// <summary>Idle threads of the session burn their core for a while, which makes the next run start sooner. Default: false.</summary>
    public bool Spinning { get; init; }

    /// <summary>Default: everything.</summary>
    public OnnxOptimization Optimization { get; init; } = OnnxOptimization.All;

    /// <summary>Plan memory once per input shape; costs memory where shapes vary. Default: true.</summary>
    public bool MemoryPattern { get; init; } = true;

    /// <summary>Keep freed memory for the next run. Default: true.</summary>
    public bool MemoryArena { get; init; } = true;

    /// <summary>Take memory from the arena that the environment was made with. Default: false.</summary>
    public bool SharedArena { get; init; }

    /// <summary>Least severe message this session logs; null follows the environment.</summary>
    public OnnxLogSeverity? LogSeverity { get; init; }

    /// <summary>Key that, set to <c>1</c>, refuses a provider a model of which it would leave operators to the CPU.</summary>
    public const string NoCpuFallback = "session.disable_cpu_ep_fallback";

    /// <summary>The library's own keys, e.g. <see cref="NoCpuFallback"/>.</summary>
    public IReadOnlyDictionary<string, string> Config { get; init; } = new Dictionary<string, string>();

    /// <summary>Fixes symbolic dimensions by name.</summary>
    public IReadOnlyDictionary<string, long> Dimensions { get; init; } = new Dictionary<string, long>();

    /// <summary>The first that can serve the model is taken; <see cref="OnnxSession.Refused"/> says what became of those before it.</summary>
    public IReadOnlyList<OnnxProvider> Providers { get; init; } = [OnnxProvider.Cpu];

    internal unsafe SessionOptionsHandle ToNative(OnnxEnvironment environment, OnnxProvider provider)
    {
        nint options;
        NativeMethods.Check(NativeMethods.CreateSessionOptions(&options));
        var handle = new SessionOptionsHandle(options);
        try
        {
            NativeMethods.Check(NativeMethods.SetIntraOpNumThreads(options, IntraOpThreads));
            NativeMethods.Check(NativeMethods.SetInterOpNumThreads(options, InterOpThreads));
            NativeMethods.Check(NativeMethods.SetSessionExecutionMode(options, Parallel ? 1 : 0));
            NativeMethods.Check(NativeMethods.SetSessionGraphOptimizationLevel(options, (int)Optimization));
            if (!MemoryPattern)
                NativeMethods.Check(NativeMethods.DisableMemPattern(options));
            if (!MemoryArena)
                NativeMethods.Check(NativeMethods.DisableCpuMemArena(options));
            if (SharedArena)
                AddConfig(options, "session.use_env_allocators", "1");
            if (LogSeverity is { } severity)
                NativeMethods.Check(NativeMethods.SetSessionLogSeverityLevel(options, (int)severity));
            AddConfig(options, "session.intra_op.allow_spinning", Spinning ? "1" : "0");
            AddConfig(options, "session.inter_op.allow_spinning", Spinning ? "1" : "0");
            foreach (var (key, value) in Config)
            {
                // On the CPU itself there is nothing to fall back from, and the library takes the two for a contradiction.
                if (!provider.IsCpu || key != NoCpuFallback)
                    AddConfig(options, key, value);
            }
            foreach (var (name, value) in Dimensions)
            {
                fixed (byte* nameBytes = NativeMethods.Utf8(name))
                    NativeMethods.Check(NativeMethods.AddFreeDimensionOverrideByName(options, nameBytes, value));
            }
            provider.AppendTo(options, environment);
            return handle;
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    static unsafe void AddConfig(nint options, string key, string value)
    {
        fixed (byte* keyBytes = NativeMethods.Utf8(key), valueBytes = NativeMethods.Utf8(value))
            NativeMethods.Check(NativeMethods.AddSessionConfigEntry(options, keyBytes, valueBytes));
    }
}
