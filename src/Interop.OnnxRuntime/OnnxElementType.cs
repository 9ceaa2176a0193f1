using System.Numerics;

namespace Interop.OnnxRuntime;

/// <summary>ONNXTensorElementDataType. The numbers are also those of ONNX's TensorProto.DataType.</summary>
#pragma warning disable CA1720 // These are the names of types.
public enum OnnxElementType
{
    Undefined = 0,
    Float = 1,
    UInt8 = 2,
    Int8 = 3,
    UInt16 = 4,
    Int16 = 5,
    Int32 = 6,
    Int64 = 7,
    String = 8,
    Bool = 9,
    Float16 = 10,
    Double = 11,
    UInt32 = 12,
    UInt64 = 13,
    Complex64 = 14,
    Complex128 = 15,
    BFloat16 = 16,
    Float8E4M3FN = 17,
    Float8E4M3FNUZ = 18,
    Float8E5M2 = 19,
    Float8E5M2FNUZ = 20,

    /// <summary>Two to a byte, the first in the low half.</summary>
    UInt4 = 21,

    /// <inheritdoc cref="UInt4"/>
    Int4 = 22,

    /// <inheritdoc cref="UInt4"/>
    Float4E2M1 = 23,

    /// <summary>Four to a byte, the first in the lowest bits.</summary>
    UInt2 = 24,

    /// <inheritdoc cref="UInt2"/>
    Int2 = 25,
}
#pragma warning restore CA1720

public static class OnnxElementTypes
{
    /// <summary>The ONNX type whose elements look like <typeparamref name="T"/> in memory.</summary>
    public static OnnxElementType Of<T>() where T : unmanaged
    {
        if (typeof(T) == typeof(float)) return OnnxElementType.Float;
        if (typeof(T) == typeof(double)) return OnnxElementType.Double;
        if (typeof(T) == typeof(long)) return OnnxElementType.Int64;
        if (typeof(T) == typeof(int)) return OnnxElementType.Int32;
        if (typeof(T) == typeof(short)) return OnnxElementType.Int16;
        if (typeof(T) == typeof(sbyte)) return OnnxElementType.Int8;
        if (typeof(T) == typeof(ulong)) return OnnxElementType.UInt64;
        if (typeof(T) == typeof(uint)) return OnnxElementType.UInt32;
        if (typeof(T) == typeof(ushort)) return OnnxElementType.UInt16;
        if (typeof(T) == typeof(byte)) return OnnxElementType.UInt8;
        if (typeof(T) == typeof(bool)) return OnnxElementType.Bool;
        if (typeof(T) == typeof(Half)) return OnnxElementType.Float16;
        if (typeof(T) == typeof(BrainFloat)) return OnnxElementType.BFloat16;
        if (typeof(T) == typeof(Complex)) return OnnxElementType.Complex128;
        throw new NotSupportedException($"{typeof(T)} is not the element of any ONNX tensor; use the bytes with the element type.");
    }

    /// <summary>0 for strings, whose bytes lie elsewhere.</summary>
    public static int BitsPerElement(this OnnxElementType type) => type switch
    {
        OnnxElementType.UInt2 or OnnxElementType.Int2 => 2,
        OnnxElementType.UInt4 or OnnxElementType.Int4 or OnnxElementType.Float4E2M1 => 4,
        OnnxElementType.UInt8 or OnnxElementType.Int8 or OnnxElementType.Bool or OnnxElementType.Float8E4M3FN
            or OnnxElementType.Float8E4M3FNUZ or OnnxElementType.Float8E5M2 or OnnxElementType.Float8E5M2FNUZ => 8,
        OnnxElementType.UInt16 or OnnxElementType.Int16 or OnnxElementType.Float16 or OnnxElementType.BFloat16 => 16,
        OnnxElementType.Float or OnnxElementType.Int32 or OnnxElementType.UInt32 => 32,
        OnnxElementType.Double or OnnxElementType.Int64 or OnnxElementType.UInt64 or OnnxElementType.Complex64 => 64,
        OnnxElementType.Complex128 => 128,
        _ => 0,
    };

    /// <summary>Bytes of that many elements, rounded up.</summary>
    public static long Bytes(this OnnxElementType type, long elements) => (elements * type.BitsPerElement() + 7) / 8;

    /// <summary>As ONNX spells it inside <c>tensor(...)</c>.</summary>
    public static string Spelling(this OnnxElementType type) => type.ToString().ToLowerInvariant();

    /// <summary>The inverse of <see cref="Spelling"/>.</summary>
    public static OnnxElementType Parse(string spelling) =>
        Enum.TryParse<OnnxElementType>(spelling, ignoreCase: true, out var type) && type.Spelling() == spelling
            ? type
            : throw new FormatException($"'{spelling}' is not an ONNX element type.");
}

/// <summary>The upper half of a <see cref="float"/>: ONNX's bfloat16.</summary>
public readonly record struct BrainFloat(ushort Bits)
{
    public static explicit operator BrainFloat(float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        if (float.IsNaN(value))
            return new BrainFloat((ushort)(bits >> 16 | 0x40));
        // Round half to even.
        return new BrainFloat((ushort)(bits + 0x7FFF + (bits >> 16 & 1) >> 16));
    }

    public static implicit operator float(BrainFloat value) => value.ToSingle();

    public static BrainFloat FromSingle(float value) => (BrainFloat)value;

    public float ToSingle() => BitConverter.UInt32BitsToSingle((uint)Bits << 16);

    public override string ToString() => ToSingle().ToString();
}
