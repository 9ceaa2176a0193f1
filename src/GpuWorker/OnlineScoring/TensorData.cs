using System.Text;
using System.Text.Json;
using GpuWorker.Inference;
using Interop.OnnxRuntime;

namespace GpuWorker.OnlineScoring;

/// <summary>The elements of a tensor while they come in: numbers as ONNX Runtime wants them in memory, strings as UTF-8 one behind the other.</summary>
sealed unsafe class TensorData : IDisposable
{
    const int LeastBytes = 64;

    readonly int size;
    AlignedBuffer? numbers;
    byte[] texts = [];
    int[] textEnds = [];

    /// <param name="expected">Elements that there will probably be.</param>
    internal TensorData(OnnxElementType type, int expected)
    {
        Type = type;
        size = type.BitsPerElement() / 8;
        if (type == OnnxElementType.String)
            textEnds = new int[Math.Max(expected, 1)];
        else
            numbers = new AlignedBuffer(Math.Max((long)expected * size, LeastBytes));
    }

    internal OnnxElementType Type { get; }

    /// <summary>Elements so far.</summary>
    internal int Count { get; private set; }

    internal byte* Pointer => numbers!.Pointer;

    internal long Bytes => (long)Count * size;

    /// <summary>Makes room for more elements, which are zero or empty until they are set.</summary>
    internal void Extend(int elements)
    {
        var count = checked(Count + elements);
        if (numbers is null)
        {
            if (textEnds.Length < count)
                Array.Resize(ref textEnds, Math.Max(count, textEnds.Length * 2));
            Array.Fill(textEnds, Count > 0 ? textEnds[Count - 1] : 0, Count, elements);
        }
        else if (numbers.Length < (long)count * size)
        {
            var larger = new AlignedBuffer(Math.Max((long)count * size, numbers.Length * 2));
            Buffer.MemoryCopy(numbers.Pointer, larger.Pointer, larger.Length, Bytes);
            numbers.Dispose();
            numbers = larger;
        }
        Count = count;
    }

    /// <summary>Sets an element from a JSON value.</summary>
    /// <returns>False when the value is of no use for the type.</returns>
    internal bool TrySet(int index, ref Utf8JsonReader reader) =>
        numbers is null ? TrySetText(index, ref reader) : JsonElements.TryRead(ref reader, Type, numbers.Pointer + (long)index * size);

    internal void SetMissing(int index) => JsonElements.WriteNaN(Type, numbers!.Pointer + (long)index * size);

    internal bool IsNaN(int index) => numbers is not null && JsonElements.IsNaN(Type, numbers.Pointer + (long)index * size);

    /// <summary>Adds a copy of a tensor's elements.</summary>
    internal void Add(OnnxValue value)
    {
        var first = Count;
        Extend((int)value.Length);
        if (numbers is not null)
        {
            value.Bytes().CopyTo(new Span<byte>(numbers.Pointer + (long)first * size, (int)value.Length * size));
            return;
        }
        foreach (var (i, text) in value.Strings().Index())
            SetText(first + i, Encoding.UTF8.GetBytes(text));
    }

    /// <summary>Adds the elements of another one of the same type.</summary>
    internal void Append(TensorData other)
    {
        var first = Count;
        if (numbers is null)
        {
            Extend(other.Count);
            for (var i = 0; i < other.Count; i++)
                SetText(first + i, other.Text(i));
            return;
        }
        Extend(other.Count);
        Buffer.MemoryCopy(other.Pointer, Pointer + (long)first * size, Bytes - (long)first * size, other.Bytes);
    }

    /// <summary>Some of the elements as a tensor, for as long as these data stay as they are.</summary>
    internal OnnxValue ToValue(long[] shape, int first, int count)
    {
        if (numbers is not null)
            return OnnxValue.Over(numbers.Pointer + (long)first * size, (long)count * size, Type, shape);
        var value = OnnxValue.Allocate(OnnxElementType.String, shape);
        for (var i = 0; i < count; i++)
            value.SetString(i, Text(first + i));
        return value;
    }

    public void Dispose()
    {
        numbers?.Dispose();
        numbers = null;
    }

    ReadOnlySpan<byte> Text(int index) => texts.AsSpan((index > 0 ? textEnds[index - 1] : 0)..textEnds[index]);

    bool TrySetText(int index, ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.String)
            return false;
        var most = reader.HasValueSequence ? (int)reader.ValueSequence.Length : reader.ValueSpan.Length;
        Span<byte> text = most <= 512 ? stackalloc byte[most] : new byte[most];
        SetText(index, text[..reader.CopyString(text)]);
        return true;
    }

    // Texts come nearly always in order; one that does not moves those behind it.
    void SetText(int index, ReadOnlySpan<byte> text)
    {
        var (start, end, all) = (index > 0 ? textEnds[index - 1] : 0, textEnds[index], textEnds[Count - 1]);
        var growth = text.Length - (end - start);
        if (texts.Length < all + growth)
            Array.Resize(ref texts, Math.Max(all + growth, texts.Length * 2));
        texts.AsSpan(end, all - end).CopyTo(texts.AsSpan(end + growth));
        text.CopyTo(texts.AsSpan(start));
        for (var i = index; i < Count; i++)
            textEnds[i] += growth;
    }
}
