using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
using Interop.OnnxRuntime;

namespace GpuWorker.Inference;

/// <summary>Between DuckDB's columns and ONNX's rows.</summary>
static unsafe class Columns
{
    const int RowsAtOnce = 16;
    const int FeaturesAtOnce = 8;

    /// <summary>Null where no column can hold the type's values. 16-bit floats go through FLOAT.</summary>
    internal static string? DuckDbType(OnnxElementType type) => type switch
    {
        OnnxElementType.Float or OnnxElementType.Float16 or OnnxElementType.BFloat16 => "FLOAT",
        OnnxElementType.Double => "DOUBLE",
        OnnxElementType.Int64 => "BIGINT",
        OnnxElementType.Int32 => "INTEGER",
        OnnxElementType.Int16 => "SMALLINT",
        OnnxElementType.Int8 => "TINYINT",
        OnnxElementType.UInt64 => "UBIGINT",
        OnnxElementType.UInt32 => "UINTEGER",
        OnnxElementType.UInt16 => "USMALLINT",
        OnnxElementType.UInt8 => "UTINYINT",
        OnnxElementType.Bool => "BOOLEAN",
        OnnxElementType.String => "VARCHAR",
        _ => null,
    };

    /// <summary>Writes one column into its place in each row.</summary>
    internal static void Pack(OnnxElementType type, void* column, byte* rows, int feature, int features, int count)
    {
        switch (type)
        {
            case OnnxElementType.Float16:
                for (var i = 0; i < count; i++)
                    ((Half*)rows)[(long)i * features + feature] = (Half)((float*)column)[i];
                break;
            case OnnxElementType.BFloat16:
                for (var i = 0; i < count; i++)
                    ((BrainFloat*)rows)[(long)i * features + feature] = (BrainFloat)((float*)column)[i];
                break;
            default:
                Copy(type.BitsPerElement() / 8, (byte*)column, 1, rows + feature * (type.BitsPerElement() / 8), features, count);
                break;
        }
    }

    /// <summary>Writes all columns at once, which touches each cache line once.</summary>
    internal static void Pack(OnnxElementType type, void** columns, byte* rows, int features, int count)
    {
        if (type.BitsPerElement() == 32 && features > 1)
        {
            Transpose((uint**)columns, (uint*)rows, features, count);
            return;
        }
        for (var feature = 0; feature < features; feature++)
            Pack(type, columns[feature], rows, feature, features, count);
    }

    /// <summary>Reads one value of each row into a column.</summary>
    internal static void Unpack(OnnxElementType type, byte* rows, int index, int width, void* column, int count)
    {
        switch (type)
        {
            case OnnxElementType.Float16:
                for (var i = 0; i < count; i++)
                    ((float*)column)[i] = (float)((Half*)rows)[(long)i * width + index];
                break;
            case OnnxElementType.BFloat16:
                for (var i = 0; i < count; i++)
                    ((float*)column)[i] = ((BrainFloat*)rows)[(long)i * width + index].ToSingle();
                break;
            default:
                Copy(type.BitsPerElement() / 8, rows + index * (type.BitsPerElement() / 8), width, (byte*)column, 1, count);
                break;
        }
    }

    static void Copy(int size, byte* from, int fromStep, byte* to, int toStep, int count)
    {
        if (fromStep == 1 && toStep == 1)
        {
            Buffer.MemoryCopy(from, to, (long)count * size, (long)count * size);
            return;
        }
        switch (size)
        {
            case 1:
                Copy<byte>(from, fromStep, to, toStep, count);
                break;
            case 2:
                Copy<ushort>(from, fromStep, to, toStep, count);
                break;
            case 4:
                Copy<uint>(from, fromStep, to, toStep, count);
                break;
            case 8:
                Copy<ulong>(from, fromStep, to, toStep, count);
                break;
            default:
                throw new NotSupportedException($"Elements of {size} bytes cannot be copied.");
        }
    }

    static void Copy<T>(byte* from, int fromStep, byte* to, int toStep, int count) where T : unmanaged
    {
        var source = (T*)from;
        var target = (T*)to;
        for (var i = 0; i < count; i++, source += fromStep, target += toStep)
            *target = *source;
    }

    // DuckDB's vectors lie 8 KiB apart, so that many columns fall on the same few ways of the L1 cache: 16 rows are a cache line of
    // each column, used up before the next column needs its place.
    static void Transpose(uint** columns, uint* rows, int features, int count)
    {
        var row = 0;
        for (; Avx.IsSupported && row + RowsAtOnce <= count; row += RowsAtOnce)
        {
            var feature = 0;
            for (; feature + FeaturesAtOnce <= features; feature += FeaturesAtOnce)
            {
                Transpose8(columns + feature, row, rows + (long)row * features + feature, features);
                Transpose8(columns + feature, row + 8, rows + (row + 8L) * features + feature, features);
            }
            for (; feature < features; feature++)
            {
                for (var i = row; i < row + RowsAtOnce; i++)
                    rows[(long)i * features + feature] = columns[feature][i];
            }
        }
        for (; row < count; row++)
        {
            for (var feature = 0; feature < features; feature++)
                rows[(long)row * features + feature] = columns[feature][row];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Transpose8(uint** columns, int row, uint* target, int features)
    {
        var c0 = Avx.LoadVector256((float*)columns[0] + row);
        var c1 = Avx.LoadVector256((float*)columns[1] + row);
        var c2 = Avx.LoadVector256((float*)columns[2] + row);
        var c3 = Avx.LoadVector256((float*)columns[3] + row);
        var c4 = Avx.LoadVector256((float*)columns[4] + row);
        var c5 = Avx.LoadVector256((float*)columns[5] + row);
        var c6 = Avx.LoadVector256((float*)columns[6] + row);
        var c7 = Avx.LoadVector256((float*)columns[7] + row);

        var (p0, p1, p2, p3) = (Avx.UnpackLow(c0, c1), Avx.UnpackHigh(c0, c1), Avx.UnpackLow(c2, c3), Avx.UnpackHigh(c2, c3));
        var (p4, p5, p6, p7) = (Avx.UnpackLow(c4, c5), Avx.UnpackHigh(c4, c5), Avx.UnpackLow(c6, c7), Avx.UnpackHigh(c6, c7));

        // Four features of rows 0 and 4, 1 and 5, 2 and 6, 3 and 7; then the other four.
        var (q0, q1, q2, q3) = (Avx.Shuffle(p0, p2, 0x44), Avx.Shuffle(p0, p2, 0xEE), Avx.Shuffle(p1, p3, 0x44), Avx.Shuffle(p1, p3, 0xEE));
        var (q4, q5, q6, q7) = (Avx.Shuffle(p4, p6, 0x44), Avx.Shuffle(p4, p6, 0xEE), Avx.Shuffle(p5, p7, 0x44), Avx.Shuffle(p5, p7, 0xEE));

        Avx.Store((float*)target, Avx.Permute2x128(q0, q4, 0x20));
        Avx.Store((float*)(target + features), Avx.Permute2x128(q1, q5, 0x20));
        Avx.Store((float*)(target + 2L * features), Avx.Permute2x128(q2, q6, 0x20));
        Avx.Store((float*)(target + 3L * features), Avx.Permute2x128(q3, q7, 0x20));
        Avx.Store((float*)(target + 4L * features), Avx.Permute2x128(q0, q4, 0x31));
        Avx.Store((float*)(target + 5L * features), Avx.Permute2x128(q1, q5, 0x31));
        Avx.Store((float*)(target + 6L * features), Avx.Permute2x128(q2, q6, 0x31));
        Avx.Store((float*)(target + 7L * features), Avx.Permute2x128(q3, q7, 0x31));
    }
}
