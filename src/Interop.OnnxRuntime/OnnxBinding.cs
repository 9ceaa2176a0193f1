using System.Text;

namespace Interop.OnnxRuntime;

/// <summary>
/// The library's IoBinding: values bound once, and outputs that may stay on a device between runs. For scoring from CPU memory
/// <see cref="OnnxCall"/> is quicker.
/// </summary>
public sealed unsafe class OnnxBinding : IDisposable
{
    readonly OnnxSession session;
    readonly IoBindingHandle handle;

    public OnnxBinding(OnnxSession session)
    {
        this.session = session;
        using var pointer = session.Handle.Borrow();
        nint binding;
        NativeMethods.Check(NativeMethods.CreateIoBinding(pointer.Pointer, &binding));
        handle = new IoBindingHandle(binding, session.Handle);
    }

    /// <summary>The binding shares the value; memory that the value borrows must outlive the runs.</summary>
    public void BindInput(string name, OnnxValue value)
    {
        using var binding = handle.Borrow();
        using var pointer = value.Handle.Borrow();
        fixed (byte* nameBytes = NativeMethods.Utf8(name))
            NativeMethods.Check(NativeMethods.BindInput(binding.Pointer, nameBytes, pointer.Pointer));
    }

    /// <summary>Writes an output into a value made beforehand, whose shape must be the right one.</summary>
    public void BindOutput(string name, OnnxValue value)
    {
        using var binding = handle.Borrow();
        using var pointer = value.Handle.Borrow();
        fixed (byte* nameBytes = NativeMethods.Utf8(name))
            NativeMethods.Check(NativeMethods.BindOutput(binding.Pointer, nameBytes, pointer.Pointer));
    }

    /// <summary>Lets the library make the output's value, in CPU memory.</summary>
    public void BindOutput(string name)
    {
        using var binding = handle.Borrow();
        fixed (byte* nameBytes = NativeMethods.Utf8(name))
            NativeMethods.Check(NativeMethods.BindOutputToDevice(binding.Pointer, nameBytes, Defaults.CpuMemory));
    }

    public void ClearInputs()
    {
        using var binding = handle.Borrow();
        NativeMethods.ClearBoundInputs(binding.Pointer);
    }

    public void ClearOutputs()
    {
        using var binding = handle.Borrow();
        NativeMethods.ClearBoundOutputs(binding.Pointer);
    }

    public void Run(OnnxRunOptions? options = null, CancellationToken cancellationToken = default)
    {
        using var pointer = session.Handle.Borrow();
        using var binding = handle.Borrow();
        using var scope = new RunScope(options, cancellationToken);
        scope.Check(NativeMethods.RunWithBinding(pointer.Pointer, scope.Options, binding.Pointer));
    }

    /// <summary>The outputs of the last run by name, which the caller disposes.</summary>
    public IReadOnlyList<(string Name, OnnxValue Value)> Outputs()
    {
        using var binding = handle.Borrow();
        byte* names;
        nuint* lengths;
        nint* values;
        nuint count;
        NativeMethods.Check(NativeMethods.GetBoundOutputValues(binding.Pointer, Defaults.Allocator, &values, &count));
        var result = new OnnxValue[(int)count];
        for (var i = 0; i < result.Length; i++)
            result[i] = new OnnxValue(values[i]);
        if (values != null)
            NativeMethods.Check(NativeMethods.AllocatorFree(Defaults.Allocator, values));
        NativeMethods.Check(NativeMethods.GetBoundOutputNames(binding.Pointer, Defaults.Allocator, &names, &lengths, &count));
        var named = new (string, OnnxValue)[result.Length];
        var next = names;
        for (var i = 0; i < named.Length; i++)
        {
            // The names lie one after the other, without NUL between them.
            named[i] = (Encoding.UTF8.GetString(next, (int)lengths[i]), result[i]);
            next += lengths[i];
        }
        if (names != null)
            NativeMethods.Check(NativeMethods.AllocatorFree(Defaults.Allocator, names));
        if (lengths != null)
            NativeMethods.Check(NativeMethods.AllocatorFree(Defaults.Allocator, lengths));
        return named;
    }

    public void Dispose() => handle.Dispose();
}
