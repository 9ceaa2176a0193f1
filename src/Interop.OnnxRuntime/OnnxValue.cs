using System.Text;

namespace Interop.OnnxRuntime;

/// <summary>A tensor, sequence, map or absent optional. Not copied when it goes in or comes out of a run.</summary>
public sealed unsafe partial class OnnxValue : IDisposable
{
    OnnxElementType elementType;
    long[]? shape;

    internal OnnxValue(nint value) => Handle = new ValueHandle(value);

    internal ValueHandle Handle { get; }

    /// <summary>False for an optional without content.</summary>
    public bool HasValue
    {
        get
        {
            using var value = Handle.Borrow();
            int has;
            NativeMethods.Check(NativeMethods.HasValue(value.Pointer, &has));
            return has != 0;
        }
    }

    public OnnxKind Kind
    {
        get
        {
            using var value = Handle.Borrow();
            int has, kind;
            NativeMethods.Check(NativeMethods.HasValue(value.Pointer, &has));
            if (has == 0)
                return OnnxKind.Optional;
            NativeMethods.Check(NativeMethods.GetValueType(value.Pointer, &kind));
            return (OnnxKind)kind;
        }
    }

    /// <summary>Of a tensor.</summary>
    public OnnxElementType ElementType
    {
        get
        {
            Describe();
            return elementType;
        }
    }

    /// <summary>Of a tensor; empty for a scalar.</summary>
    public IReadOnlyList<long> Shape => Describe();

    /// <summary>Elements of a tensor.</summary>
    public long Length => Product(Describe());

    /// <summary>Items of a sequence.</summary>
    public int Count
    {
        get
        {
            using var value = Handle.Borrow();
            nuint count;
            NativeMethods.Check(NativeMethods.GetValueCount(value.Pointer, &count));
            return checked((int)count);
        }
    }

    /// <summary>The elements in place. They are valid until the value is disposed.</summary>
    public Span<T> Span<T>() where T : unmanaged
    {
        var wanted = OnnxElementTypes.Of<T>();
        if (ElementType != wanted)
            throw new InvalidOperationException($"The tensor holds {elementType.Spelling()}, not {wanted.Spelling()}.");
        return new Span<T>(Data(), checked((int)Length));
    }

    /// <summary>The bytes of the elements in place, whatever their type. They are valid until the value is disposed.</summary>
    public Span<byte> Bytes()
    {
        if (ElementType == OnnxElementType.String)
            throw new InvalidOperationException("Strings do not lie side by side in memory; read them with Strings or Utf8.");
        return new Span<byte>(Data(), checked((int)elementType.Bytes(Length)));
    }

    /// <summary>The elements of a tensor of strings. What is not UTF-8 comes with replacement characters; see <see cref="Utf8"/>.</summary>
    public string[] Strings()
    {
        byte[] bytes = [];
        nuint[] offsets = [];
        var count = Utf8(ref bytes, ref offsets);
        var result = new string[count];
        for (var i = 0; i < count; i++)
            result[i] = Encoding.UTF8.GetString(bytes, (int)offsets[i], (int)(offsets[i + 1] - offsets[i]));
        return result;
    }

    /// <summary>
    /// Copies the strings into <paramref name="bytes"/>, one behind the other; string i is from offset i to offset i + 1. Both arrays
    /// grow when too short, and serve again.
    /// </summary>
    /// <returns>How many strings there are.</returns>
    public int Utf8(ref byte[] bytes, ref nuint[] offsets)
    {
        var count = checked((int)Length);
        using var value = Handle.Borrow();
        ReadStrings(value.Pointer, count, ref bytes, ref offsets);
        return count;
    }

    internal static void ReadStrings(nint value, int count, ref byte[] bytes, ref nuint[] offsets)
    {
        nuint length;
        NativeMethods.Check(NativeMethods.GetStringTensorDataLength(value, &length));
        if ((nuint)bytes.Length < length || bytes.Length == 0)
            bytes = new byte[checked((int)Math.Max(length * 2, 16))];
        if (offsets.Length < count + 1)
            offsets = new nuint[count + 1];
        offsets[count] = length;
        if (count == 0)
            return;
        fixed (byte* buffer = bytes)
        fixed (nuint* starts = offsets)
            NativeMethods.Check(NativeMethods.GetStringTensorContent(value, buffer, length, starts, (nuint)count));
    }

    /// <summary>An item of a sequence, which the caller disposes. The item outlives the sequence.</summary>
    public OnnxValue Item(int index)
    {
        using var value = Handle.Borrow();
        return new OnnxValue(Part(value.Pointer, index));
    }

    /// <summary>The keys of a map as a tensor, in the order of <see cref="MapValues"/>; the caller disposes it.</summary>
    public OnnxValue MapKeys() => MapPart(0);

    /// <summary>The values of a map as a tensor, which the caller disposes.</summary>
    public OnnxValue MapValues() => MapPart(1);

    public void Dispose() => Handle.Dispose();

    OnnxValue MapPart(int index) =>
        Kind == OnnxKind.Map ? Item(index) : throw new InvalidOperationException($"The value is not a map but {Kind}.");

    internal static nint Part(nint value, int index)
    {
        nint item;
        NativeMethods.Check(NativeMethods.GetValue(value, index, Defaults.Allocator, &item));
        return item;
    }

    internal static nint TensorData(nint value)
    {
        void* data;
        NativeMethods.Check(NativeMethods.GetTensorMutableData(value, &data));
        return (nint)data;
    }

    void* Data()
    {
        using var value = Handle.Borrow();
        nint memory;
        int device;
        NativeMethods.Check(NativeMethods.GetTensorMemoryInfo(value.Pointer, &memory));
        NativeMethods.MemoryInfoGetDeviceType(memory, &device);
        if (device != 0)
            throw new InvalidOperationException("The tensor lies in a device's memory; bind the output to the CPU to read it.");
        return (void*)TensorData(value.Pointer);
    }

    long[] Describe()
    {
        if (shape is not null)
            return shape;
        using var value = Handle.Borrow();
        nint info;
        NativeMethods.Check(NativeMethods.GetTensorTypeAndShape(value.Pointer, &info));
        using var owned = new TensorInfoHandle(info);
        int element;
        nuint rank;
        NativeMethods.Check(NativeMethods.GetTensorElementType(info, &element));
        NativeMethods.Check(NativeMethods.GetDimensionsCount(info, &rank));
        var dimensions = new long[(int)rank];
        fixed (long* pointer = dimensions)
            NativeMethods.Check(NativeMethods.GetDimensions(info, pointer, rank));
        elementType = (OnnxElementType)element;
        return shape = dimensions;
    }

    static long Product(ReadOnlySpan<long> shape)
    {
        var product = 1L;
        foreach (var dimension in shape)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(dimension, nameof(shape));
            product = checked(product * dimension);
        }
        return product;
    }
}
