namespace Interop.OnnxRuntime;

/// <summary>A value under the name of the input it is for.</summary>
public readonly record struct OnnxInput(string Name, OnnxValue Value);

/// <summary>
/// An opened model. Runs may be concurrent, and Dispose may come during one: memory goes when the last run has ended.
/// </summary>
public sealed unsafe class OnnxSession : IDisposable
{
    OnnxSession(SessionHandle handle, OnnxProvider provider, IReadOnlyList<OnnxProviderRefusal> refused)
    {
        Handle = handle;
        Provider = provider.Name;
        Refused = refused;
        using var session = handle.Borrow();
        Inputs = ReadPorts(session.Pointer, &NativeMethods.SessionGetInputCount, &NativeMethods.SessionGetInputName, &NativeMethods.SessionGetInputTypeInfo);
        Outputs = ReadPorts(session.Pointer, &NativeMethods.SessionGetOutputCount, &NativeMethods.SessionGetOutputName, &NativeMethods.SessionGetOutputTypeInfo);
        OverridableInitializers = ReadPorts(
            session.Pointer, &NativeMethods.SessionGetOverridableInitializerCount, &NativeMethods.SessionGetOverridableInitializerName,
            &NativeMethods.SessionGetOverridableInitializerTypeInfo);
        Info = OnnxModelInfo.Read(session.Pointer);
    }

    /// <summary>In the file's order, without initializers.</summary>
    public IReadOnlyList<OnnxPort> Inputs { get; }

    /// <summary>In the file's order.</summary>
    public IReadOnlyList<OnnxPort> Outputs { get; }

    /// <summary>Inputs with a default: they need not be fed.</summary>
    public IReadOnlyList<OnnxPort> OverridableInitializers { get; }

    public OnnxModelInfo Info { get; }

    /// <summary>The execution provider that serves the session.</summary>
    public string Provider { get; }

    /// <summary>Providers that were asked for before <see cref="Provider"/>, and why each cannot serve.</summary>
    public IReadOnlyList<OnnxProviderRefusal> Refused { get; }

    internal SessionHandle Handle { get; }

    /// <summary>Opens a file; external data are looked for beside it.</summary>
    public static OnnxSession FromFile(OnnxEnvironment environment, string path, OnnxSessionOptions? options = null)
    {
        // ONNX Runtime takes a path as a C string.
        var pathBytes = NativeMethods.Utf8(Path.GetFullPath(path));
        return Open(environment, options ?? new OnnxSessionOptions(), (env, nativeOptions, session) =>
        {
            fixed (byte* pointer = pathBytes)
                return NativeMethods.CreateSession(env, pointer, nativeOptions, session);
        });
    }

    /// <summary>Opens a model in memory, which is no longer needed afterwards.</summary>
    public static OnnxSession FromBytes(OnnxEnvironment environment, ReadOnlyMemory<byte> model, OnnxSessionOptions? options = null)
    {
        if (model.IsEmpty)
            throw new OnnxException(OnnxErrorCode.InvalidProtobuf, "The model is empty: 0 bytes.");
        return Open(environment, options ?? new OnnxSessionOptions(), (env, nativeOptions, session) =>
        {
            using var pin = model.Pin();
            return NativeMethods.CreateSessionFromArray(env, pin.Pointer, (nuint)model.Length, nativeOptions, session);
        });
    }

    /// <summary>
    /// Runs the model. Inputs that are optional or have a default may be left out.
    /// </summary>
    /// <param name="inputs">They stay the caller's.</param>
    /// <param name="outputs">Names wanted; empty means all.</param>
    /// <returns>One value for each output asked for, in that order, which the caller disposes.</returns>
    /// <exception cref="OperationCanceledException">The token was cancelled; noticed between two operators of the graph.</exception>
    public IReadOnlyList<OnnxValue> Run(
        ReadOnlySpan<OnnxInput> inputs,
        ReadOnlySpan<string> outputs = default,
        OnnxRunOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        var inputNames = new string[inputs.Length];
        for (var i = 0; i < inputs.Length; i++)
            inputNames[i] = inputs[i].Name;
        var outputNames = outputs.IsEmpty ? [.. Outputs.Select(port => port.Name)] : outputs.ToArray();
        using var nativeInputNames = new NativeStrings(inputNames);
        using var nativeOutputNames = new NativeStrings(outputNames);
        var borrowed = new ValueHandle[inputs.Length];
        var inputPointers = new nint[inputs.Length];
        var outputPointers = new nint[outputNames.Length];
        using var session = Handle.Borrow();
        using var scope = new RunScope(options, cancellationToken);
        var taken = 0;
        try
        {
            for (; taken < borrowed.Length; taken++)
            {
                var added = false;
                (borrowed[taken] = inputs[taken].Value.Handle).DangerousAddRef(ref added);
                inputPointers[taken] = borrowed[taken].DangerousGetHandle();
            }
            fixed (nint* inputPointer = inputPointers, outputPointer = outputPointers)
            {
                scope.Check(NativeMethods.Run(
                    session.Pointer, scope.Options, nativeInputNames.Pointer, inputPointer, (nuint)inputPointers.Length,
                    nativeOutputNames.Pointer, (nuint)outputPointers.Length, outputPointer));
            }
        }
        finally
        {
            for (var i = 0; i < taken; i++)
                borrowed[i].DangerousRelease();
        }
        return [.. outputPointers.Select(pointer => new OnnxValue(pointer))];
    }

    /// <summary>What the session's allocators hold, by device, as far as they count it. May be asked for while the session runs.</summary>
    public IReadOnlyList<OnnxMemory> ReadMemory()
    {
        using var session = Handle.Borrow();
        return OnnxMemory.Read(session.Pointer, Inputs.Count);
    }

    public void Dispose() => Handle.Dispose();

    delegate nint Creator(nint env, nint options, nint* session);

    static OnnxSession Open(OnnxEnvironment environment, OnnxSessionOptions options, Creator create)
    {
        var refused = new List<OnnxProviderRefusal>();
        foreach (var provider in options.Providers)
        {
            SessionHandle handle;
            try
            {
                handle = Create(environment, options, provider, create);
            }
            // What fails on the CPU is the model's fault, not the provider's.
            catch (OnnxException error) when (!provider.IsCpu)
            {
                refused.Add(new OnnxProviderRefusal(provider.Name, error.Message));
                continue;
            }
            try
            {
                return new OnnxSession(handle, provider, refused);
            }
            catch
            {
                handle.Dispose();
                throw;
            }
        }
        throw new OnnxException(
            OnnxErrorCode.ExecutionProviderFailed,
            "No execution provider can serve the model. " + string.Join(" ", refused.Select(one => $"{one.Provider}: {one.Reason}")));
    }

    static SessionHandle Create(OnnxEnvironment environment, OnnxSessionOptions options, OnnxProvider provider, Creator create)
    {
        using var env = environment.Handle.Borrow();
        using var nativeOptions = options.ToNative(environment, provider);
        nint session;
        NativeMethods.Check(create(env.Pointer, nativeOptions.DangerousGetHandle(), &session));
        return new SessionHandle(session, environment.Handle);
    }

    static OnnxPort[] ReadPorts(
        nint session,
        delegate*<nint, nuint*, nint> count,
        delegate*<nint, nuint, nint, byte**, nint> name,
        delegate*<nint, nuint, nint*, nint> type)
    {
        nuint length;
        NativeMethods.Check(count(session, &length));
        var ports = new OnnxPort[(int)length];
        for (var i = 0; i < ports.Length; i++)
        {
            byte* text;
            nint info;
            NativeMethods.Check(name(session, (nuint)i, Defaults.Allocator, &text));
            NativeMethods.Check(type(session, (nuint)i, &info));
            using var owned = new TypeInfoHandle(info);
            ports[i] = new OnnxPort(NativeMethods.TakeText(text), OnnxType.Read(info));
        }
        return ports;
    }
}
