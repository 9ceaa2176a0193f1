using System.Numerics;
using System.Runtime.InteropServices;
using Interop.DuckDb;
using Interop.OnnxRuntime;

namespace GpuWorker.BatchInference;

/// <summary>
/// Brings one column to the type its input takes, and finds the rows that have no right value. A column that already is right is
/// passed on where it lies.
/// </summary>
abstract unsafe class ColumnFeed : IDisposable
{
    public static ColumnFeed? Create(ScoringPlan plan, int argument, int capacity) => plan.Arguments[argument].Element switch
    {
        // 16-bit fractions are packed from FLOAT.
        OnnxElementType.Float or OnnxElementType.Float16 or OnnxElementType.BFloat16 => new ColumnFeed<float>(plan, argument, capacity),
        OnnxElementType.Double => new ColumnFeed<double>(plan, argument, capacity),
        OnnxElementType.Int8 => new ColumnFeed<sbyte>(plan, argument, capacity),
        OnnxElementType.Int16 => new ColumnFeed<short>(plan, argument, capacity),
        OnnxElementType.Int32 => new ColumnFeed<int>(plan, argument, capacity),
        OnnxElementType.Int64 => new ColumnFeed<long>(plan, argument, capacity),
        OnnxElementType.UInt8 or OnnxElementType.Bool => new ColumnFeed<byte>(plan, argument, capacity),
        OnnxElementType.UInt16 => new ColumnFeed<ushort>(plan, argument, capacity),
        OnnxElementType.UInt32 => new ColumnFeed<uint>(plan, argument, capacity),
        OnnxElementType.UInt64 => new ColumnFeed<ulong>(plan, argument, capacity),
        // Strings go into the model one by one.
        _ => null,
    };

    /// <returns>One value a row, valid until the next call.</returns>
    public abstract void* Read(DuckDbColumn column, int rows, BadRows bad);

    public abstract void Dispose();
}

sealed unsafe class ColumnFeed<T> : ColumnFeed where T : unmanaged, INumber<T>
{
    static readonly bool IsFraction = typeof(T) == typeof(float) || typeof(T) == typeof(double);

    readonly ScoringPlan plan;
    readonly int argument;
    readonly DuckDbTypeId source;
    readonly bool isHalf;
    readonly bool isBoolean;
    readonly T* converted;

    public ColumnFeed(ScoringPlan plan, int argument, int capacity)
    {
        (this.plan, this.argument) = (plan, argument);
        source = plan.Arguments[argument].Type;
        isHalf = plan.Arguments[argument].Element == OnnxElementType.Float16;
        isBoolean = plan.Arguments[argument].Element == OnnxElementType.Bool;
        converted = (T*)NativeMemory.AlignedAlloc((nuint)(capacity * sizeof(T)), 64);
    }

    public override void* Read(DuckDbColumn column, int rows, BadRows bad) => source switch
    {
        DuckDbTypeId.Float => Convert<float>(column, rows, bad),
        DuckDbTypeId.Double => Convert<double>(column, rows, bad),
        DuckDbTypeId.TinyInt => Convert<sbyte>(column, rows, bad),
        DuckDbTypeId.SmallInt => Convert<short>(column, rows, bad),
        DuckDbTypeId.Integer => Convert<int>(column, rows, bad),
        DuckDbTypeId.BigInt => Convert<long>(column, rows, bad),
        DuckDbTypeId.UTinyInt or DuckDbTypeId.Boolean => Convert<byte>(column, rows, bad),
        DuckDbTypeId.USmallInt => Convert<ushort>(column, rows, bad),
        DuckDbTypeId.UInteger => Convert<uint>(column, rows, bad),
        DuckDbTypeId.UBigInt => Convert<ulong>(column, rows, bad),
        _ => Parse(column, rows, bad),
    };

    public override void Dispose() => NativeMemory.AlignedFree(converted);

    void* Convert<S>(DuckDbColumn column, int rows, BadRows bad) where S : unmanaged, INumber<S>
    {
        var values = column.Values<S>();
        var hasNulls = column.HasNulls(rows);
        if (typeof(S) == typeof(T) && !hasNulls && !isHalf)
        {
            if (IsFraction && !plan.AllowNaN)
                FindNaN(column, column.Values<T>(), bad);
            return column.Data;
        }
        for (var row = 0; row < values.Length; row++)
        {
            if (hasNulls && column.IsNull(row))
            {
                converted[row] = Missing(row, column, bad);
                continue;
            }
            // What is out of range comes out as infinity, or as the nearest number there is.
            var value = T.CreateSaturating(values[row]);
            if (IsFraction)
            {
                if (!T.IsFinite(Narrow(value)) && (T.IsNaN(value) ? !plan.AllowNaN : S.IsFinite(values[row])))
                    value = Bad(row, column, T.IsNaN(value) ? BadValue.NaN : BadValue.OutOfRange, bad);
            }
            else if (S.CreateSaturating(value) != values[row])
            {
                value = Bad(row, column, BadValue.OutOfRange, bad);
            }
            converted[row] = value;
        }
        return converted;
    }

    void* Parse(DuckDbColumn column, int rows, BadRows bad)
    {
        for (var row = 0; row < rows; row++)
        {
            if (column.IsNull(row))
            {
                converted[row] = Missing(row, column, bad);
                continue;
            }
            var fault = NumberText.TryParse<T>(column.Utf8(row).Trim((byte)' '), isBoolean, out var value);
            if (fault is null && T.IsNaN(value) && !plan.AllowNaN)
                fault = BadValue.NaN;
            if (fault is null && T.IsFinite(value) && !T.IsFinite(Narrow(value)))
                fault = BadValue.OutOfRange;
            converted[row] = fault is { } wrong ? Bad(row, column, wrong, bad) : value;
        }
        return converted;
    }

    void FindNaN(DuckDbColumn column, Span<T> values, BadRows bad)
    {
        if (IsNumbersOnly(values))
            return;
        for (var row = 0; row < values.Length; row++)
        {
            if (T.IsNaN(values[row]))
                bad.Add(row, argument, column, BadValue.NaN);
        }
    }

    // A whole vector register at a time: of a fast model's cost per row, this loop one by one is a sixth.
    static bool IsNumbersOnly(ReadOnlySpan<T> values)
    {
        var registers = MemoryMarshal.Cast<T, Vector<T>>(values);
        var equal = Vector<T>.AllBitsSet;
        foreach (var register in registers)
            equal &= Vector.Equals(register, register);
        foreach (var value in values[(registers.Length * Vector<T>.Count)..])
        {
            if (T.IsNaN(value))
                return false;
        }
        // All bits set is itself a NaN: compared as bits.
        return Vector.EqualsAll(Vector.AsVectorByte(equal), Vector<byte>.AllBitsSet);
    }

    T Narrow(T value) => isHalf ? T.CreateSaturating(Half.CreateSaturating(value)) : value;

    T Missing(int row, DuckDbColumn column, BadRows bad) =>
        IsFraction && plan.AllowMissing ? T.CreateTruncating(float.NaN) : Bad(row, column, BadValue.Missing, bad);

    T Bad(int row, DuckDbColumn column, BadValue fault, BadRows bad)
    {
        bad.Add(row, argument, column, fault);
        return T.Zero;
    }
}
