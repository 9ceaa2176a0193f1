using System.Text;

namespace Interop.OnnxRuntime;

/// <summary>Protobuf's wire format: varints and length-delimited fields, which is all a small model needs.</summary>
sealed class ProtoWriter
{
    const int Varint = 0;
    const int LengthDelimited = 2;

    readonly List<byte> bytes = [];

    internal ProtoWriter Add(int field, long value)
    {
        Write((ulong)field << 3 | Varint);
        Write((ulong)value);
        return this;
    }

    internal ProtoWriter Add(int field, string text) => Add(field, Encoding.UTF8.GetBytes(text));

    internal ProtoWriter Add(int field, ProtoWriter message) => Add(field, message.ToArray());

    internal byte[] ToArray() => [.. bytes];

    internal ProtoWriter Add(int field, byte[] content)
    {
        Write((ulong)field << 3 | LengthDelimited);
        Write((ulong)content.Length);
        bytes.AddRange(content);
        return this;
    }

    void Write(ulong value)
    {
        for (; value >= 0x80; value >>= 7)
            bytes.Add((byte)(value | 0x80));
        bytes.Add((byte)value);
    }
}
