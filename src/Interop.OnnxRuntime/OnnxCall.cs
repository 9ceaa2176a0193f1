using System.Runtime.InteropServices;

namespace Interop.OnnxRuntime;

/// <summary>
/// One caller's prepared run of a session, made to be repeated: inputs and outputs are set once or anew for each run, over memory
/// that stays the caller's, and a run allocates nothing managed. Not for several threads at once; make one for each.
/// </summary>
public sealed unsafe class OnnxCall : IDisposable
{
    readonly OnnxSession session;
    readonly NativeStrings inputNames;
    readonly NativeStrings outputNames;
    readonly ValueSlots inputs;
    readonly ValueSlots outputs;

    /// <param name="session">What to run.</param>
    /// <param name="inputs">Names of the inputs that will be set; the others must be optional or have a default.</param>
    /// <param name="outputs">Names of the outputs wanted.</param>
    public OnnxCall(OnnxSession session, IReadOnlyList<string> inputs, IReadOnlyList<string> outputs)
    {
        this.session = session;
        inputNames = new NativeStrings(inputs);
        outputNames = new NativeStrings(outputs);
        this.inputs = new ValueSlots(inputs.Count);
        this.outputs = new ValueSlots(outputs.Count);
    }

    /// <summary>Feeds an input from the caller's memory, which must stay where it is until another is set or the call is disposed.</summary>
    public void SetInput(int index, void* data, long bytes, OnnxElementType type, ReadOnlySpan<long> shape) =>
        inputs.Own(index, OnnxValue.CreateOver(data, bytes, type, shape));

    /// <summary>Feeds an input from a value that stays the caller's.</summary>
    public void SetInput(int index, OnnxValue value) => inputs.Lend(index, value);

    /// <summary>
    /// Lets an output be written into the caller's memory. The shape must be the one the run gives, or the run fails.
    /// </summary>
    public void SetOutput(int index, void* data, long bytes, OnnxElementType type, ReadOnlySpan<long> shape) =>
        outputs.Own(index, OnnxValue.CreateOver(data, bytes, type, shape));

    /// <summary>Lets the library make an output at each run; see <see cref="TakeOutput"/>. This is how every output starts.</summary>
    public void LeaveOutput(int index) => outputs.Clear(index);

    /// <param name="options">To stop the run from another thread.</param>
    /// <exception cref="OperationCanceledException">The options were told to terminate.</exception>
    public void Run(OnnxRunOptions? options = null)
    {
        outputs.ClearMade();
        using var pointer = session.Handle.Borrow();
        using var scope = new RunScope(options, CancellationToken.None);
        try
        {
            inputs.Borrow();
            scope.Check(NativeMethods.Run(
                pointer.Pointer, scope.Options, inputNames.Pointer, inputs.Pointer, (nuint)inputNames.Count,
                outputNames.Pointer, (nuint)outputNames.Count, outputs.Pointer));
        }
        finally
        {
            inputs.Return();
        }
    }

    /// <summary>An output that the library made in the last run. It now is the caller's.</summary>
    public OnnxValue TakeOutput(int index) => new(outputs.Take(index));

    public void Dispose()
    {
        inputs.Dispose();
        outputs.Dispose();
        inputNames.Dispose();
        outputNames.Dispose();
    }

    /// <summary>A native array of OrtValue pointers, some of them ours to release.</summary>
    sealed class ValueSlots : SafeHandle
    {
        readonly bool[] owned;
        readonly OnnxValue?[] lent;
        readonly bool[] borrowed;

        internal ValueSlots(int count) : base(0, ownsHandle: true)
        {
            owned = new bool[count];
            lent = new OnnxValue?[count];
            borrowed = new bool[count];
            SetHandle((nint)NativeMemory.AllocZeroed((nuint)Math.Max(count, 1), (nuint)sizeof(nint)));
        }

        internal nint* Pointer => !IsClosed ? (nint*)handle : throw new ObjectDisposedException(nameof(OnnxCall));

        public override bool IsInvalid => handle == 0;

        internal void Own(int index, nint value)
        {
            Clear(index);
            Pointer[index] = value;
            owned[index] = true;
        }

        internal void Lend(int index, OnnxValue value)
        {
            Clear(index);
            Pointer[index] = value.Handle.DangerousGetHandle();
            lent[index] = value;
        }

        internal void Clear(int index)
        {
            if (owned[index])
                NativeMethods.Release(Slot.ReleaseValue, Pointer[index]);
            Pointer[index] = 0;
            owned[index] = false;
            lent[index] = null;
        }

        /// <summary>Releases what the last run made and nobody took: everything that was not set.</summary>
        internal void ClearMade()
        {
            for (var i = 0; i < owned.Length; i++)
            {
                if (owned[i] || Pointer[i] == 0)
                    continue;
                NativeMethods.Release(Slot.ReleaseValue, Pointer[i]);
                Pointer[i] = 0;
            }
        }

        internal nint Take(int index)
        {
            var value = owned[index] ? 0 : Pointer[index];
            if (value == 0)
                throw new InvalidOperationException("The last run made no value for this output.");
            Pointer[index] = 0;
            return value;
        }

        internal void Borrow()
        {
            for (var i = 0; i < lent.Length; i++)
            {
                if (lent[i] is not { } value)
                    continue;
                var added = false;
                value.Handle.DangerousAddRef(ref added);
                borrowed[i] = true;
            }
        }

        internal void Return()
        {
            for (var i = 0; i < lent.Length; i++)
            {
                if (!borrowed[i])
                    continue;
                borrowed[i] = false;
                lent[i]!.Handle.DangerousRelease();
            }
        }

        protected override bool ReleaseHandle()
        {
            var values = (nint*)handle;
            for (var i = 0; i < owned.Length; i++)
            {
                if (lent[i] is null && values[i] != 0)
                    NativeMethods.Release(Slot.ReleaseValue, values[i]);
            }
            NativeMemory.Free(values);
            return true;
        }
    }
}
