namespace Train;

/// <summary>
/// Exponential and logarithm from additions and multiplications alone. Those of the C library differ in the last bit from
/// one machine to the next, and the files written here must not.
/// </summary>
static class Numerics
{
    const double Log2E = 1.4426950408889634;
    // ln 2 in two parts: the first has zeros at its end, so its product with a small integer is exact.
    const double Ln2High = 0.6931471803691238;
    const double Ln2Low = 1.9082149292705877e-10;

    static readonly double[] InverseFactorials = [.. Enumerable.Range(0, 14).Select(n => 1.0 / Enumerable.Range(1, n).Aggregate(1L, (a, b) => a * b))];
    static readonly double[] InverseOdds = [.. Enumerable.Range(0, 11).Select(n => 1.0 / (2 * n + 1))];

    internal static double Exp(double x)
    {
        if (x is > 709 or < -708)
            return x > 0 ? double.PositiveInfinity : 0;
        var k = Math.Round(x * Log2E);
        var r = x - k * Ln2High - k * Ln2Low;
        var sum = InverseFactorials[^1];
        for (var i = InverseFactorials.Length - 2; i >= 0; i--)
            sum = InverseFactorials[i] + r * sum;
        return sum * BitConverter.Int64BitsToDouble((long)k + 1023 << 52);
    }

    /// <param name="x">Positive and not denormal.</param>
    internal static double Log(double x)
    {
        var bits = BitConverter.DoubleToInt64Bits(x);
        var exponent = (int)(bits >> 52) - 1023;
        var mantissa = BitConverter.Int64BitsToDouble(bits & 0xFFFFFFFFFFFFF | 1023L << 52);
        if (mantissa > 1.4142135623730951)
        {
            mantissa /= 2;
            exponent++;
        }
        var s = (mantissa - 1) / (mantissa + 1);
        var square = s * s;
        var sum = InverseOdds[^1];
        for (var i = InverseOdds.Length - 2; i >= 0; i--)
            sum = InverseOdds[i] + square * sum;
        return exponent * Ln2High + (2 * s * sum + exponent * Ln2Low);
    }

    internal static double Sigmoid(double x) => 1 / (1 + Exp(-x));
}

/// <summary>SplitMix64: the same numbers everywhere, and a stream can start at any row.</summary>
struct RandomStream
{
    ulong state;

    internal RandomStream(ulong seed, ulong stream) => state = Mix(seed ^ Mix(stream + Gamma));

    const ulong Gamma = 0x9E3779B97F4A7C15;

    internal ulong Next() => Mix(state += Gamma);

    /// <summary>From 0 to below 1.</summary>
    internal double Uniform() => (Next() >> 11) * (1.0 / (1UL << 53));

    internal int Below(int limit) => (int)((Next() >> 32) * (ulong)limit >> 32);

    /// <summary>The sum of eight uniforms: mean 0, variance 1, near enough to normal, and exact.</summary>
    internal double Normal()
    {
        var (a, b) = (Next(), Next());
        var sum = 0L;
        for (var shift = 0; shift < 64; shift += 16)
            sum += (long)(a >> shift & 0xFFFF) + (long)(b >> shift & 0xFFFF);
        return (sum - 8 * 32767.5) * (1.2247448713915890 / 65536);
    }

    internal double Exponential(double mean) => -mean * Numerics.Log(1 - Uniform());

    internal void Shuffle(Span<int> items)
    {
        for (var i = items.Length - 1; i > 0; i--)
        {
            var j = Below(i + 1);
            (items[i], items[j]) = (items[j], items[i]);
        }
    }

    static ulong Mix(ulong z)
    {
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
        z = (z ^ z >> 27) * 0x94D049BB133111EB;
        return z ^ z >> 31;
    }
}
