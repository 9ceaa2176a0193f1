using System.Text;

namespace Interop.OnnxRuntime;

/// <summary>
/// The keys that every map of a sequence is expected to have, as ZipMap makes them. Reading through it makes no managed objects;
/// one reader at a time.
/// </summary>
public sealed unsafe class OnnxMapKeys
{
    readonly long[] numbers = [];
    readonly byte[] texts = [];
    readonly nuint[] textOffsets = [];
    byte[] scratch = [];
    nuint[] scratchOffsets = [];

    /// <param name="type"><see cref="OnnxElementType.Int64"/> or <see cref="OnnxElementType.String"/>.</param>
    /// <param name="keys">In the order of the map.</param>
    public OnnxMapKeys(OnnxElementType type, IReadOnlyList<string> keys)
    {
        Type = type;
        Count = keys.Count;
        if (type == OnnxElementType.Int64)
        {
            numbers = [.. keys.Select(long.Parse)];
            return;
        }
        var encoded = keys.Select(Encoding.UTF8.GetBytes).ToArray();
        texts = [.. encoded.SelectMany(key => key)];
        textOffsets = new nuint[Count + 1];
        for (var i = 0; i < Count; i++)
            textOffsets[i + 1] = textOffsets[i] + (nuint)encoded[i].Length;
    }

    public OnnxElementType Type { get; }

    public int Count { get; }

    /// <summary>Copies the values of one map of a sequence.</summary>
    /// <returns>False when the map has other keys.</returns>
    public bool TryRead(OnnxValue sequence, int index, Span<byte> values)
    {
        using var handle = sequence.Handle.Borrow();
        nint map = 0, keyTensor = 0, valueTensor = 0;
        try
        {
            map = OnnxValue.Part(handle.Pointer, index);
            keyTensor = OnnxValue.Part(map, 0);
            if (Elements(keyTensor) != Count || !Match(keyTensor))
                return false;
            valueTensor = OnnxValue.Part(map, 1);
            new ReadOnlySpan<byte>((void*)OnnxValue.TensorData(valueTensor), values.Length).CopyTo(values);
            return true;
        }
        finally
        {
            Release(valueTensor);
            Release(keyTensor);
            Release(map);
        }
    }

    bool Match(nint keys)
    {
        if (Type == OnnxElementType.Int64)
            return new ReadOnlySpan<long>((void*)OnnxValue.TensorData(keys), Count).SequenceEqual(numbers);
        OnnxValue.ReadStrings(keys, Count, ref scratch, ref scratchOffsets);
        return scratchOffsets.AsSpan(0, Count + 1).SequenceEqual(textOffsets)
            && scratch.AsSpan(0, texts.Length).SequenceEqual(texts);
    }

    static int Elements(nint tensor)
    {
        nint info;
        nuint count;
        NativeMethods.Check(NativeMethods.GetTensorTypeAndShape(tensor, &info));
        var status = NativeMethods.GetTensorShapeElementCount(info, &count);
        NativeMethods.Release(Slot.ReleaseTensorTypeAndShapeInfo, info);
        NativeMethods.Check(status);
        return (int)count;
    }

    static void Release(nint value)
    {
        if (value != 0)
            NativeMethods.Release(Slot.ReleaseValue, value);
    }
}
