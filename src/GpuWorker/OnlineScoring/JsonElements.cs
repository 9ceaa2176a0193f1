using System.Text.Json;
using Interop.OnnxRuntime;

namespace GpuWorker.OnlineScoring;

/// <summary>
/// Between a JSON value and an element of a tensor. What JSON has no number for is a string: <c>"NaN"</c>, <c>"Infinity"</c>,
/// <c>"-Infinity"</c>.
/// </summary>
static unsafe class JsonElements
{
    /// <returns>False when the value is none of the type, or does not fit it.</returns>
    internal static bool TryRead(ref Utf8JsonReader reader, OnnxElementType type, byte* target) => type switch
    {
        OnnxElementType.Float => TryReadSingle(ref reader, out var single) && Store(target, single),
        OnnxElementType.Double => TryReadReal(ref reader, out var real) && Store(target, real),
        OnnxElementType.Float16 => TryReadReal(ref reader, out var real) && Fits(real, (float)(Half)real) && Store(target, (Half)real),
        OnnxElementType.BFloat16 => TryReadReal(ref reader, out var real) && Fits(real, ((BrainFloat)(float)real).ToSingle()) && Store(target, (BrainFloat)(float)real),
        OnnxElementType.Int64 => TryReadWhole(ref reader, (Int128)long.MinValue, long.MaxValue, out var whole) && Store(target, (long)whole),
        OnnxElementType.Int32 => TryReadWhole(ref reader, int.MinValue, int.MaxValue, out var whole) && Store(target, (int)whole),
        OnnxElementType.Int16 => TryReadWhole(ref reader, short.MinValue, short.MaxValue, out var whole) && Store(target, (short)whole),
        OnnxElementType.Int8 => TryReadWhole(ref reader, sbyte.MinValue, sbyte.MaxValue, out var whole) && Store(target, (sbyte)whole),
        OnnxElementType.UInt64 => TryReadWhole(ref reader, 0, ulong.MaxValue, out var whole) && Store(target, (ulong)whole),
        OnnxElementType.UInt32 => TryReadWhole(ref reader, 0, uint.MaxValue, out var whole) && Store(target, (uint)whole),
        OnnxElementType.UInt16 => TryReadWhole(ref reader, 0, ushort.MaxValue, out var whole) && Store(target, (ushort)whole),
        OnnxElementType.UInt8 => TryReadWhole(ref reader, 0, byte.MaxValue, out var whole) && Store(target, (byte)whole),
        OnnxElementType.Bool => TryReadTruth(ref reader, out var truth) && Store(target, truth),
        _ => false,
    };

    internal static bool IsReal(OnnxElementType type) =>
        type is OnnxElementType.Float or OnnxElementType.Double or OnnxElementType.Float16 or OnnxElementType.BFloat16;

    internal static void WriteNaN(OnnxElementType type, byte* target)
    {
        _ = type switch
        {
            OnnxElementType.Float => Store(target, float.NaN),
            OnnxElementType.Double => Store(target, double.NaN),
            OnnxElementType.Float16 => Store(target, Half.NaN),
            OnnxElementType.BFloat16 => Store(target, (BrainFloat)float.NaN),
            _ => throw new NotSupportedException($"{type} has no NaN."),
        };
    }

    internal static bool IsNaN(OnnxElementType type, byte* value) => IsReal(type) && double.IsNaN(Real(type, value));

    /// <summary>An element of one of the types of real numbers.</summary>
    internal static double Real(OnnxElementType type, byte* value) => type switch
    {
        OnnxElementType.Float => *(float*)value,
        OnnxElementType.Double => *(double*)value,
        OnnxElementType.Float16 => (double)*(Half*)value,
        OnnxElementType.BFloat16 => ((BrainFloat*)value)->ToSingle(),
        _ => throw new NotSupportedException($"{type} is no real number."),
    };

    internal static void Write(Utf8JsonWriter json, OnnxElementType type, byte* value)
    {
        switch (type)
        {
            case OnnxElementType.Float:
                Write(json, *(float*)value);
                break;
            case OnnxElementType.Float16:
                Write(json, (float)*(Half*)value);
                break;
            case OnnxElementType.BFloat16:
                Write(json, ((BrainFloat*)value)->ToSingle());
                break;
            case OnnxElementType.Double:
                if (double.IsFinite(*(double*)value))
                    json.WriteNumberValue(*(double*)value);
                else
                    json.WriteStringValue(Name(*(double*)value));
                break;
            case OnnxElementType.Int64:
                json.WriteNumberValue(*(long*)value);
                break;
            case OnnxElementType.Int32:
                json.WriteNumberValue(*(int*)value);
                break;
            case OnnxElementType.Int16:
                json.WriteNumberValue(*(short*)value);
                break;
            case OnnxElementType.Int8:
                json.WriteNumberValue(*(sbyte*)value);
                break;
            case OnnxElementType.UInt64:
                json.WriteNumberValue(*(ulong*)value);
                break;
            case OnnxElementType.UInt32:
                json.WriteNumberValue(*(uint*)value);
                break;
            case OnnxElementType.UInt16:
                json.WriteNumberValue(*(ushort*)value);
                break;
            case OnnxElementType.UInt8:
                json.WriteNumberValue(*value);
                break;
            case OnnxElementType.Bool:
                json.WriteBooleanValue(*value != 0);
                break;
            default:
                throw new NotSupportedException($"{type} has no JSON form.");
        }
    }

    static void Write(Utf8JsonWriter json, float value)
    {
        if (float.IsFinite(value))
            json.WriteNumberValue(value);
        else
            json.WriteStringValue(Name(value));
    }

    static ReadOnlySpan<byte> Name(double value) => double.IsNaN(value) ? "NaN"u8 : value > 0 ? "Infinity"u8 : "-Infinity"u8;

    static bool Store<T>(byte* target, T value) where T : unmanaged
    {
        *(T*)target = value;
        return true;
    }

    // A number that is too large for its type must not become infinity without a word.
    static bool Fits(double given, float stored) => float.IsFinite(stored) || !double.IsFinite(given);

    static bool TryReadReal(ref Utf8JsonReader reader, out double value)
    {
        value = 0;
        if (reader.TokenType == JsonTokenType.Number)
            return reader.TryGetDouble(out value) && double.IsFinite(value);
        if (reader.TokenType != JsonTokenType.String)
            return false;
        value = reader.ValueTextEquals("NaN"u8) ? double.NaN
            : reader.ValueTextEquals("Infinity"u8) ? double.PositiveInfinity
            : reader.ValueTextEquals("-Infinity"u8) ? double.NegativeInfinity : 0;
        return value != 0;
    }

    // Not by way of a double, which would round twice.
    static bool TryReadSingle(ref Utf8JsonReader reader, out float value)
    {
        if (reader.TokenType == JsonTokenType.Number)
            return reader.TryGetSingle(out value) && float.IsFinite(value);
        var isReal = TryReadReal(ref reader, out var real);
        value = (float)real;
        return isReal;
    }

    // 5.0 is what a table's writer makes of a whole number in a column that has others.
    static bool TryReadWhole(ref Utf8JsonReader reader, Int128 least, Int128 most, out Int128 value)
    {
        value = 0;
        if (reader.TokenType != JsonTokenType.Number)
            return false;
        if (reader.TryGetInt64(out var small))
            value = small;
        else if (reader.TryGetUInt64(out var large))
            value = large;
        else if (reader.TryGetDouble(out var real) && Math.Abs(real) < 1L << 53 && real == Math.Truncate(real))
            value = (Int128)real;
        else
            return false;
        return value >= least && value <= most;
    }

    static bool TryReadTruth(ref Utf8JsonReader reader, out bool value)
    {
        value = reader.TokenType == JsonTokenType.True || (reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out var number) && number == 1);
        return value || reader.TokenType == JsonTokenType.False || (reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out var zero) && zero == 0);
    }
}
