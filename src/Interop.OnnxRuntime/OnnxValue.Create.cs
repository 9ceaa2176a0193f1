using System.Runtime.InteropServices;
using System.Text;

namespace Interop.OnnxRuntime;

public sealed unsafe partial class OnnxValue
{
    /// <summary>A tensor with a copy of the data.</summary>
    public static OnnxValue Create<T>(ReadOnlySpan<T> data, ReadOnlySpan<long> shape) where T : unmanaged =>
        Create(OnnxElementTypes.Of<T>(), MemoryMarshal.AsBytes(data), shape);

    /// <summary>A tensor of any type but strings, with a copy of its elements as they lie in memory.</summary>
    public static OnnxValue Create(OnnxElementType type, ReadOnlySpan<byte> data, ReadOnlySpan<long> shape)
    {
        RequireNumbers(type);
        if (type.Bytes(Product(shape)) != data.Length)
            throw new ArgumentException($"A {type.Spelling()} tensor of shape {Text(shape)} has {type.Bytes(Product(shape))} bytes, not {data.Length}.", nameof(data));
        var value = Allocate(type, shape);
        data.CopyTo(value.Bytes());
        return value;
    }

    /// <summary>A tensor with memory of its own, not cleared. Strings are empty.</summary>
    public static OnnxValue Allocate(OnnxElementType type, ReadOnlySpan<long> shape)
    {
        OnnxLibrary.RequireLoaded();
        _ = Product(shape);
        nint value;
        fixed (long* dimensions = shape)
            NativeMethods.Check(NativeMethods.CreateTensorAsOrtValue(Defaults.Allocator, dimensions, (nuint)shape.Length, (int)type, &value));
        return new OnnxValue(value);
    }

    /// <summary>A tensor over memory that stays the caller's: it must not move, and must outlive the value and every run that uses it.</summary>
    public static OnnxValue Over(void* data, long bytes, OnnxElementType type, ReadOnlySpan<long> shape) =>
        new(CreateOver(data, bytes, type, shape));

    internal static nint CreateOver(void* data, long bytes, OnnxElementType type, ReadOnlySpan<long> shape)
    {
        RequireNumbers(type);
        var needed = type.Bytes(Product(shape));
        if (bytes < needed)
            throw new ArgumentException($"A {type.Spelling()} tensor of shape {Text(shape)} needs {needed} bytes; there are {bytes}.", nameof(bytes));
        // The library takes no null pointer, not even for no elements.
        long nothing;
        if (data == null && needed == 0)
            data = &nothing;
        nint value;
        fixed (long* dimensions = shape)
        {
            NativeMethods.Check(NativeMethods.CreateTensorWithDataAsOrtValue(
                Defaults.CpuMemory, data, (nuint)needed, dimensions, (nuint)shape.Length, (int)type, &value));
        }
        return value;
    }

    /// <summary>A tensor of strings, which may hold NUL.</summary>
    public static OnnxValue CreateStrings(ReadOnlySpan<string> texts, ReadOnlySpan<long> shape)
    {
        if (Product(shape) != texts.Length)
            throw new ArgumentException($"A tensor of shape {Text(shape)} has {Product(shape)} elements, not {texts.Length}.", nameof(texts));
        var value = Allocate(OnnxElementType.String, shape);
        for (var i = 0; i < texts.Length; i++)
            Encoding.UTF8.GetBytes(texts[i], value.StringBuffer(i, Encoding.UTF8.GetByteCount(texts[i])));
        return value;
    }

    /// <summary>Sets one element of a tensor of strings.</summary>
    public void SetString(int index, ReadOnlySpan<byte> utf8) => utf8.CopyTo(StringBuffer(index, utf8.Length));

    /// <summary>A sequence, which shares the items: they may be disposed afterwards. All are tensors or maps of one type.</summary>
    public static OnnxValue Sequence(ReadOnlySpan<OnnxValue> items)
    {
        if (items.IsEmpty)
            throw new ArgumentException("Nothing says what an empty sequence is of; use EmptySequence.", nameof(items));
        return Combine(OnnxKind.Sequence, items);
    }

    /// <summary>A map from a tensor of keys and one of as many values.</summary>
    public static OnnxValue Map(OnnxValue keys, OnnxValue values) => Combine(OnnxKind.Map, [keys, values]);

    static OnnxValue Combine(OnnxKind kind, ReadOnlySpan<OnnxValue> parts)
    {
        var pointers = new nint[parts.Length];
        var taken = 0;
        try
        {
            for (; taken < parts.Length; taken++)
            {
                var added = false;
                parts[taken].Handle.DangerousAddRef(ref added);
                pointers[taken] = parts[taken].Handle.DangerousGetHandle();
            }
            nint value;
            fixed (nint* pointer = pointers)
                NativeMethods.Check(NativeMethods.CreateValue(pointer, (nuint)pointers.Length, (int)kind, &value));
            return new OnnxValue(value);
        }
        finally
        {
            for (var i = 0; i < taken; i++)
                parts[i].Handle.DangerousRelease();
        }
    }

    Span<byte> StringBuffer(int index, int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        using var value = Handle.Borrow();
        byte* buffer;
        NativeMethods.Check(NativeMethods.GetResizedStringTensorElementBuffer(value.Pointer, (nuint)index, (nuint)length, &buffer));
        return new Span<byte>(buffer, length);
    }

    static void RequireNumbers(OnnxElementType type)
    {
        OnnxLibrary.RequireLoaded();
        if (type.BitsPerElement() == 0)
            throw new ArgumentException($"The elements of a {type.Spelling()} tensor do not lie side by side in memory.", nameof(type));
    }

    static string Text(ReadOnlySpan<long> shape) => "[" + string.Join(", ", shape.ToArray()) + "]";
}
