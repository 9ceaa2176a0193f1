using System.Runtime.InteropServices;
using System.Text;

namespace Interop.OnnxRuntime;

/// <summary>A <c>const char* const*</c> of NUL-terminated UTF-8, in one block of native memory.</summary>
sealed unsafe class NativeStrings : SafeHandle
{
    internal NativeStrings(IReadOnlyList<string> texts) : base(0, ownsHandle: true)
    {
        Count = texts.Count;
        var bytes = texts.Sum(text => Encoding.UTF8.GetByteCount(text) + 1);
        var pointers = (byte**)NativeMemory.Alloc((nuint)(sizeof(byte*) * Count + bytes));
        SetHandle((nint)pointers);
        var next = (byte*)(pointers + Count);
        for (var i = 0; i < Count; i++)
        {
            var text = NativeMethods.Utf8(texts[i]);
            text.CopyTo(new Span<byte>(next, text.Length));
            pointers[i] = next;
            next += text.Length;
        }
    }

    internal int Count { get; }

    internal byte** Pointer => (byte**)handle;

    public override bool IsInvalid => handle == 0;

    protected override bool ReleaseHandle()
    {
        NativeMemory.Free((void*)handle);
        return true;
    }
}
