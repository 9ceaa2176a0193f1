namespace Interop.OnnxRuntime;

/// <summary>Why an execution provider that was asked for does not serve the session.</summary>
public sealed record OnnxProviderRefusal(string Provider, string Reason);

/// <summary>An execution provider by name: <c>CPU</c>, <c>CUDA</c>, <c>TensorRT</c>, <c>WebGPU</c>, or one from a registered plug-in library.</summary>
public sealed record OnnxProvider(string Name, IReadOnlyDictionary<string, string> Options)
{
    public static OnnxProvider Cpu { get; } = new("CPU");

    public OnnxProvider(string name) : this(name, new Dictionary<string, string>())
    {
    }

    /// <summary>Whether it is the one that is always there.</summary>
    public bool IsCpu => Is("CPU");

    /// <summary>Runs a small model on the provider and nowhere else. That a library has a provider does not mean that the machine has its device.</summary>
    /// <returns>Why the provider cannot be used here; null when it can.</returns>
    public string? WhyNot(OnnxEnvironment environment)
    {
        try
        {
            using var session = OnnxSession.FromBytes(environment, GoldenModelFile.Bytes, new OnnxSessionOptions
            {
                Providers = [this],
                Config = new Dictionary<string, string> { [OnnxSessionOptions.NoCpuFallback] = "1" },
            });
            using var input = OnnxValue.Create(GoldenModelFile.Input, [2, 3]);
            var outputs = session.Run([new OnnxInput("x", input)]);
            using var output = outputs[0];
            return output.Span<float>().SequenceEqual(GoldenModelFile.Output) ? null : $"{Name} computes wrongly: {string.Join(", ", output.Span<float>().ToArray())}.";
        }
        catch (OnnxException e)
        {
            return e.Message;
        }
    }

    internal unsafe void AppendTo(nint options, OnnxEnvironment environment)
    {
        // The CPU is always there, last in line.
        if (IsCpu)
            return;
        using var keys = new NativeStrings([.. Options.Keys]);
        using var values = new NativeStrings([.. Options.Values]);
        if (Is("CUDA"))
            AppendCuda(options, keys, values);
        else if (Is("TensorRT"))
            AppendTensorRt(options, keys, values);
        else if (!AppendPlugIn(options, environment, keys, values))
        {
            fixed (byte* name = NativeMethods.Utf8(Name))
            {
                NativeMethods.Check(NativeMethods.SessionOptionsAppendExecutionProvider(
                    options, name, keys.Pointer, values.Pointer, (nuint)keys.Count));
            }
        }
    }

    bool Is(string name) =>
        string.Equals(Name, name, StringComparison.OrdinalIgnoreCase)
        || string.Equals(Name, name + "ExecutionProvider", StringComparison.OrdinalIgnoreCase);

    // CUDA and TensorRT are not in the library's by-name list; each has calls of its own.
    static unsafe void AppendCuda(nint options, NativeStrings keys, NativeStrings values)
    {
        nint created;
        NativeMethods.Check(NativeMethods.CreateCUDAProviderOptions(&created));
        using var providerOptions = new CudaOptionsHandle(created);
        if (keys.Count > 0)
            NativeMethods.Check(NativeMethods.UpdateCUDAProviderOptions(created, keys.Pointer, values.Pointer, (nuint)keys.Count));
        NativeMethods.Check(NativeMethods.SessionOptionsAppendExecutionProvider_CUDA_V2(options, created));
    }

    static unsafe void AppendTensorRt(nint options, NativeStrings keys, NativeStrings values)
    {
        nint created;
        NativeMethods.Check(NativeMethods.CreateTensorRTProviderOptions(&created));
        using var providerOptions = new TensorRtOptionsHandle(created);
        if (keys.Count > 0)
            NativeMethods.Check(NativeMethods.UpdateTensorRTProviderOptions(created, keys.Pointer, values.Pointer, (nuint)keys.Count));
        NativeMethods.Check(NativeMethods.SessionOptionsAppendExecutionProvider_TensorRT_V2(options, created));
    }

    unsafe bool AppendPlugIn(nint options, OnnxEnvironment environment, NativeStrings keys, NativeStrings values)
    {
        var devices = environment.Devices().Where(device => Is(device.Provider)).Select(device => device.Device).ToArray();
        if (devices.Length == 0)
            return false;
        using var env = environment.Handle.Borrow();
        fixed (nint* pointers = devices)
        {
            NativeMethods.Check(NativeMethods.SessionOptionsAppendExecutionProvider_V2(
                options, env.Pointer, pointers, (nuint)devices.Length, keys.Pointer, values.Pointer, (nuint)keys.Count));
        }
        return true;
    }
}
