using System.Globalization;
using System.Numerics;
using System.Text;

namespace GpuWorker.BatchInference;

/// <summary>Numbers as text files write them: with a point, without thousands; true and false are 1 and 0.</summary>
static class NumberText
{
    /// <summary>Null when <paramref name="value"/> is what the text says; else what is wrong.</summary>
    public static BadValue? TryParse<T>(ReadOnlySpan<byte> text, bool isBoolean, out T value) where T : unmanaged, INumber<T>
    {
        if (Boolean(text) is { } boolean)
        {
            value = boolean ? T.One : T.Zero;
            return null;
        }
        if (isBoolean)
        {
            value = text is [(byte)'1'] ? T.One : T.Zero;
            return text is [(byte)'0'] or [(byte)'1'] ? null : BadValue.NotABoolean;
        }
        return typeof(T) == typeof(float) || typeof(T) == typeof(double) || typeof(T) == typeof(Half)
            ? Fraction(text, out value)
            : Integer(text, out value);
    }

    static BadValue? Fraction<T>(ReadOnlySpan<byte> text, out T value) where T : unmanaged, INumber<T>
    {
        if (!T.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out value))
        {
            if (!IsInfinity(text, out var negative))
                return BadValue.NotANumber;
            value = T.CreateSaturating(negative ? double.NegativeInfinity : double.PositiveInfinity);
            return null;
        }
        // Too large a number is parsed as infinity; only a text with letters may mean it.
        return T.IsInfinity(value) && text.IndexOfAnyInRange((byte)'0', (byte)'9') >= 0 ? BadValue.OutOfRange : null;
    }

    static BadValue? Integer<T>(ReadOnlySpan<byte> text, out T value) where T : unmanaged, INumber<T>
    {
        value = T.Zero;
        if (!Int128.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number))
            return double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out _) ? BadValue.NotAnInteger : BadValue.NotANumber;
        value = T.CreateSaturating(number);
        return Int128.CreateSaturating(value) == number ? null : BadValue.OutOfRange;
    }

    static bool? Boolean(ReadOnlySpan<byte> text) =>
        Ascii.EqualsIgnoreCase(text, "true"u8) ? true : Ascii.EqualsIgnoreCase(text, "false"u8) ? false : null;

    static bool IsInfinity(ReadOnlySpan<byte> text, out bool negative)
    {
        negative = text is [(byte)'-', ..];
        return Ascii.EqualsIgnoreCase(text[(text is [(byte)'-' or (byte)'+', ..] ? 1 : 0)..], "inf"u8);
    }
}
