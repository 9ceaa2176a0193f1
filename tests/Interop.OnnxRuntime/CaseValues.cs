using System.Buffers.Binary;
using System.Numerics;
using System.Text.Json;

namespace Interop.OnnxRuntime.Tests;

public readonly record struct Tolerance(double Relative, double Absolute);

/// <summary>The values of a case file: made from JSON, and compared with it.</summary>
public sealed class CaseValues(OnnxEnvironment environment, string folder)
{
    public OnnxValue Read(JsonElement value, OnnxType? declared)
    {
        var type = value.GetProperty("type").GetString()!;
        if (IsAbsent(value, type))
            return OnnxValue.None(environment, (declared?.Kind == OnnxKind.Optional ? declared.Inner : declared).ShouldNotBeNull());
        var content = declared?.Kind == OnnxKind.Optional ? declared.Inner : declared;
        return type switch
        {
            "sequence" => ReadSequence(value.GetProperty("items"), content),
            "map" => ReadMap(value),
            _ => ReadTensor(value, ElementType(type)),
        };
    }

    public void ShouldMatch(OnnxValue actual, JsonElement expected, Tolerance tolerance, string where)
    {
        var type = expected.GetProperty("type").GetString()!;
        if (IsAbsent(expected, type))
        {
            actual.HasValue.ShouldBeFalse(where);
            return;
        }
        actual.HasValue.ShouldBeTrue(where);
        switch (type)
        {
            case "sequence":
                var items = expected.GetProperty("items").EnumerateArray().ToArray();
                actual.Kind.ShouldBe(OnnxKind.Sequence, where);
                actual.Count.ShouldBe(items.Length, where);
                for (var i = 0; i < items.Length; i++)
                {
                    using var item = actual.Item(i);
                    ShouldMatch(item, items[i], tolerance, $"{where}[{i}]");
                }
                break;
            case "map":
                using (var keys = actual.MapKeys())
                    ShouldMatch(keys, expected.GetProperty("keys"), tolerance, where + " keys");
                using (var values = actual.MapValues())
                    ShouldMatch(values, expected.GetProperty("values"), tolerance, where + " values");
                break;
            default:
                TensorShouldMatch(actual, expected, ElementType(type), tolerance, where);
                break;
        }
    }

    static bool IsAbsent(JsonElement value, string type) =>
        type is "none" or "null"
        || type.StartsWith("optional", StringComparison.Ordinal)
            && (!value.TryGetProperty("data", out var data) || data.ValueKind == JsonValueKind.Null) && !value.TryGetProperty("items", out _);

    static OnnxElementType ElementType(string type)
    {
        var name = type.StartsWith("optional(", StringComparison.Ordinal) ? type["optional(".Length..^1] : type;
        name.ShouldStartWith("tensor(");
        return OnnxElementTypes.Parse(name["tensor(".Length..^1]);
    }

    OnnxValue ReadSequence(JsonElement items, OnnxType? declared)
    {
        if (items.GetArrayLength() == 0)
            return OnnxValue.EmptySequence(environment, (declared?.Inner).ShouldNotBeNull().Element);
        var values = items.EnumerateArray().Select(item => Read(item, null)).ToArray();
        try
        {
            return OnnxValue.Sequence(values);
        }
        finally
        {
            foreach (var value in values)
                value.Dispose();
        }
    }

    OnnxValue ReadMap(JsonElement map)
    {
        using var keys = Read(map.GetProperty("keys"), null);
        using var values = Read(map.GetProperty("values"), null);
        return OnnxValue.Map(keys, values);
    }

    OnnxValue ReadTensor(JsonElement tensor, OnnxElementType type)
    {
        var shape = Shape(tensor);
        if (tensor.TryGetProperty("data_file", out var file))
            return OnnxValue.Create(type, File.ReadAllBytes(Path.Combine(folder, file.GetString()!)), shape);
        var data = tensor.GetProperty("data").EnumerateArray().ToArray();
        return type == OnnxElementType.String
            ? OnnxValue.CreateStrings([.. data.Select(one => one.GetString()!)], shape)
            : OnnxValue.Create(type, ElementCodec.Encode(type, data), shape);
    }

    void TensorShouldMatch(OnnxValue actual, JsonElement expected, OnnxElementType type, Tolerance tolerance, string where)
    {
        actual.Kind.ShouldBe(OnnxKind.Tensor, where);
        actual.ElementType.ShouldBe(type, where);
        actual.Shape.ShouldBe(Shape(expected), where);
        if (type == OnnxElementType.String)
        {
            actual.Strings().ShouldBe(expected.GetProperty("data").EnumerateArray().Select(one => one.GetString()!), where);
            return;
        }
        var wanted = expected.TryGetProperty("data_file", out var file)
            ? File.ReadAllBytes(Path.Combine(folder, file.GetString()!))
            : ElementCodec.Encode(type, [.. expected.GetProperty("data").EnumerateArray()]);
        var bytes = actual.Bytes();
        for (var i = 0; i < actual.Length; i++)
        {
            if (ElementCodec.IsInteger(type))
            {
                var difference = Int128.Abs(ElementCodec.Whole(type, bytes, i) - ElementCodec.Whole(type, wanted, i));
                ((double)difference).ShouldBeLessThanOrEqualTo(tolerance.Absolute, $"{where}[{i}]");
                continue;
            }
            var (a, e) = (ElementCodec.Real(type, bytes, i), ElementCodec.Real(type, wanted, i));
            var equal = a.Equals(e) || Math.Abs(a - e) <= tolerance.Absolute + tolerance.Relative * Math.Abs(e);
            equal.ShouldBeTrue($"{where}[{i}]: {a:R} instead of {e:R}");
        }
    }

    static long[] Shape(JsonElement tensor) => [.. tensor.GetProperty("shape").EnumerateArray().Select(one => one.GetInt64())];
}

/// <summary>Elements of every fixed-width type, from JSON and from memory.</summary>
public static class ElementCodec
{
    public static bool IsInteger(OnnxElementType type) => type
        is OnnxElementType.Int8 or OnnxElementType.Int16 or OnnxElementType.Int32 or OnnxElementType.Int64
        or OnnxElementType.UInt8 or OnnxElementType.UInt16 or OnnxElementType.UInt32 or OnnxElementType.UInt64
        or OnnxElementType.Int4 or OnnxElementType.UInt4 or OnnxElementType.Int2 or OnnxElementType.UInt2 or OnnxElementType.Bool;

    public static byte[] Encode(OnnxElementType type, IReadOnlyList<JsonElement> data)
    {
        var bits = type.BitsPerElement();
        var bytes = new byte[type.Bytes(data.Count)];
        for (var i = 0; i < data.Count; i++)
        {
            var code = Code(type, data[i]);
            if (bits < 8)
                bytes[i * bits / 8] |= (byte)((code & ((1u << bits) - 1)) << (i * bits % 8));
            else
                for (var b = 0; b < bits / 8; b++)
                    bytes[i * bits / 8 + b] = (byte)(code >> (8 * b));
        }
        return bytes;
    }

    public static Int128 Whole(OnnxElementType type, ReadOnlySpan<byte> bytes, int index)
    {
        var bits = type.BitsPerElement();
        var code = Code(bits, bytes, index);
        var signed = type is OnnxElementType.Int2 or OnnxElementType.Int4 or OnnxElementType.Int8 or OnnxElementType.Int16
            or OnnxElementType.Int32 or OnnxElementType.Int64;
        return signed ? (long)(code << (64 - bits)) >> (64 - bits) : code;
    }

    public static double Real(OnnxElementType type, ReadOnlySpan<byte> bytes, int index) => Real(type, Code(type.BitsPerElement(), bytes, index));

    static ulong Code(int bits, ReadOnlySpan<byte> bytes, int index) => bits switch
    {
        < 8 => (uint)(bytes[index * bits / 8] >> (index * bits % 8)) & ((1u << bits) - 1),
        8 => bytes[index],
        16 => BinaryPrimitives.ReadUInt16LittleEndian(bytes[(index * 2)..]),
        32 => BinaryPrimitives.ReadUInt32LittleEndian(bytes[(index * 4)..]),
        _ => BinaryPrimitives.ReadUInt64LittleEndian(bytes[(index * 8)..]),
    };

    static ulong Code(OnnxElementType type, JsonElement value)
    {
        if (IsInteger(type))
        {
            if (value.ValueKind is JsonValueKind.True or JsonValueKind.False)
                return value.GetBoolean() ? 1u : 0;
            var text = value.ValueKind == JsonValueKind.String ? value.GetString()! : value.GetRawText();
            return (ulong)BigInteger.Parse(text, System.Globalization.NumberStyles.Float).ToInt64OrWrapped();
        }
        var number = value.ValueKind == JsonValueKind.String ? ParseReal(value.GetString()!) : value.GetDouble();
        return type switch
        {
            OnnxElementType.Float => BitConverter.SingleToUInt32Bits((float)number),
            OnnxElementType.Double => BitConverter.DoubleToUInt64Bits(number),
            OnnxElementType.Float16 => BitConverter.HalfToUInt16Bits((Half)number),
            OnnxElementType.BFloat16 => BrainFloat.FromSingle((float)number).Bits,
            _ => Enumerable.Range(0, 1 << type.BitsPerElement()).Select(code => (ulong)code).First(code => Real(type, code).Equals(number)),
        };
    }

    static long ToInt64OrWrapped(this BigInteger value) => value > long.MaxValue ? (long)(ulong)value : (long)value;

    static double ParseReal(string text) => text.ToLowerInvariant() switch
    {
        "nan" => double.NaN,
        "inf" or "+inf" or "infinity" => double.PositiveInfinity,
        "-inf" or "-infinity" => double.NegativeInfinity,
        _ => double.Parse(text),
    };

    static double Real(OnnxElementType type, ulong code) => type switch
    {
        OnnxElementType.Float => BitConverter.UInt32BitsToSingle((uint)code),
        OnnxElementType.Double => BitConverter.UInt64BitsToDouble(code),
        OnnxElementType.Float16 => (double)BitConverter.UInt16BitsToHalf((ushort)code),
        OnnxElementType.BFloat16 => new BrainFloat((ushort)code).ToSingle(),
        OnnxElementType.Float8E4M3FN => (code & 0x7F) == 0x7F ? double.NaN : Small(code, 8, mantissa: 3, bias: 7),
        OnnxElementType.Float8E4M3FNUZ => code == 0x80 ? double.NaN : Small(code, 8, mantissa: 3, bias: 8),
        OnnxElementType.Float8E5M2 => (double)BitConverter.UInt16BitsToHalf((ushort)(code << 8)),
        OnnxElementType.Float8E5M2FNUZ => code == 0x80 ? double.NaN : Small(code, 8, mantissa: 2, bias: 16),
        OnnxElementType.Float4E2M1 => Small(code, 4, mantissa: 1, bias: 1),
        _ => throw new NotSupportedException($"{type} is not a real number."),
    };

    static double Small(ulong code, int bits, int mantissa, int bias)
    {
        var sign = (code >> (bits - 1) & 1) == 0 ? 1.0 : -1.0;
        var exponent = (int)(code >> mantissa & ((1u << (bits - 1 - mantissa)) - 1));
        var fraction = (code & ((1u << mantissa) - 1)) / (double)(1 << mantissa);
        return exponent == 0 ? sign * fraction * Math.Pow(2, 1 - bias) : sign * (1 + fraction) * Math.Pow(2, exponent - bias);
    }
}
