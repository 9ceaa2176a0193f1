namespace Interop.OnnxRuntime;

/// <summary>Options of runs, and the way to stop one from another thread. May serve many runs after one another.</summary>
public sealed unsafe class OnnxRunOptions : IDisposable
{
    readonly List<OnnxLoraAdapter> adapters = [];
    volatile bool terminated;

    public OnnxRunOptions()
    {
        OnnxLibrary.RequireLoaded();
        nint options;
        NativeMethods.Check(NativeMethods.CreateRunOptions(&options));
        Handle = new RunOptionsHandle(options);
    }

    /// <summary>Runs with these options end with an <see cref="OperationCanceledException"/> until <see cref="Reset"/>.</summary>
    public bool IsTerminated => terminated;

    internal RunOptionsHandle Handle { get; }

    /// <summary>Stops running and later runs. The library looks at it between two operators, so a run ends within one of them.</summary>
    public void Terminate()
    {
        using var options = Handle.Borrow();
        terminated = true;
        NativeMethods.Check(NativeMethods.RunOptionsSetTerminate(options.Pointer));
    }

    /// <summary>Allows runs again.</summary>
    public void Reset()
    {
        using var options = Handle.Borrow();
        NativeMethods.Check(NativeMethods.RunOptionsUnsetTerminate(options.Pointer));
        terminated = false;
    }

    public void AddConfig(string key, string value)
    {
        using var options = Handle.Borrow();
        fixed (byte* keyBytes = NativeMethods.Utf8(key), valueBytes = NativeMethods.Utf8(value))
            NativeMethods.Check(NativeMethods.AddRunConfigEntry(options.Pointer, keyBytes, valueBytes));
    }

    /// <summary>Runs use the adapter's values in place of the model's defaults. The adapter must outlive these options.</summary>
    public void AddAdapter(OnnxLoraAdapter adapter)
    {
        using var options = Handle.Borrow();
        using var lora = adapter.Handle.Borrow();
        NativeMethods.Check(NativeMethods.RunOptionsAddActiveLoraAdapter(options.Pointer, lora.Pointer));
        // The library only remembers the pointer.
        adapters.Add(adapter);
    }

    public void Dispose() => Handle.Dispose();
}

/// <summary>Ties one run to a cancellation token, and says of its failure whether the token was the reason.</summary>
readonly ref struct RunScope
{
    readonly OnnxRunOptions? options;
    readonly bool owned;
    readonly CancellationToken token;
    readonly CancellationTokenRegistration registration;

    internal RunScope(OnnxRunOptions? options, CancellationToken token)
    {
        token.ThrowIfCancellationRequested();
        owned = options is null && token.CanBeCanceled;
        this.options = owned ? new OnnxRunOptions() : options;
        this.token = token;
        Options = this.options is null ? 0 : this.options.Handle.DangerousGetHandle();
        if (token.CanBeCanceled)
            registration = token.UnsafeRegister(static state => ((OnnxRunOptions)state!).Terminate(), this.options);
    }

    internal nint Options { get; }

    internal void Check(nint status)
    {
        if (status == 0)
            return;
        try
        {
            NativeMethods.Check(status);
        }
        // The library reports a stopped run as a plain failure: only the caller's own flag tells the two apart.
        catch (OnnxException error) when (token.IsCancellationRequested || options is { IsTerminated: true })
        {
            throw new OperationCanceledException("The run was stopped.", error, token);
        }
    }

    public void Dispose()
    {
        // Waits for a callback under way, so that nothing touches the options afterwards.
        registration.Dispose();
        if (owned)
            options!.Dispose();
        else if (token.IsCancellationRequested && options is { IsTerminated: true })
            options.Reset();
    }
}
