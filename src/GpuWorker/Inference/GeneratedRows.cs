using System.Globalization;
using System.Text;
using Interop.OnnxRuntime;

namespace GpuWorker.Inference;

/// <summary>
/// Made-up rows that differ from each other: tree models answer repeated rows several times faster than real ones. The same every time.
/// </summary>
sealed unsafe class GeneratedRows(bool constant)
{
    const int Seed = 20011;

    /// <summary>All zero.</summary>
    internal bool IsConstant => constant;

    internal OnnxValue Tensor(InputLayout layout, int rows)
    {
        long[] shape = [rows, .. layout.Shape[1..]];
        var random = new Random(Seed);
        var elements = rows * layout.Features;
        if (layout.Type == OnnxElementType.String)
            return OnnxValue.CreateStrings([.. Enumerable.Range(0, elements).Select(_ => Text(random))], shape);
        var value = OnnxValue.Allocate(layout.Type, shape);
        fixed (byte* data = value.Bytes())
        {
            using var column = Column(layout.Type, elements, random);
            Columns.Pack(layout.Type, column.Pointer, data, 0, 1, elements);
        }
        return value;
    }

    internal void Pack(RowScorer scorer, int rows)
    {
        var random = new Random(Seed);
        for (var input = 0; input < scorer.Inputs.Count; input++)
        {
            var layout = scorer.Inputs[input];
            for (var feature = 0; feature < layout.Features; feature++)
            {
                if (layout.Type == OnnxElementType.String)
                {
                    for (var row = 0; row < rows; row++)
                        scorer.SetText(input, feature, row, Encoding.UTF8.GetBytes(Text(random)));
                    continue;
                }
                using var column = Column(layout.Type, rows, random);
                scorer.Pack(input, feature, column.Pointer);
            }
        }
    }

    // Small whole numbers may serve as categories and indices, which the model may look up.
    string Text(Random random) => constant ? "0" : random.Next(10).ToString(CultureInfo.InvariantCulture);

    AlignedBuffer Column(OnnxElementType type, int count, Random random)
    {
        var buffer = new AlignedBuffer(count * 8L);
        if (constant)
            return buffer;
        for (var i = 0; i < count; i++)
        {
            switch (Columns.DuckDbType(type))
            {
                case "FLOAT":
                    ((float*)buffer.Pointer)[i] = (float)(random.NextDouble() * 4 - 2);
                    break;
                case "DOUBLE":
                    ((double*)buffer.Pointer)[i] = random.NextDouble() * 4 - 2;
                    break;
                case "BOOLEAN":
                    buffer.Pointer[i] = (byte)random.Next(2);
                    break;
                default:
                    // Little-endian: the low bytes are the number.
                    var bytes = type.BitsPerElement() / 8;
                    buffer.Pointer[(long)i * bytes] = (byte)random.Next(10);
                    break;
            }
        }
        return buffer;
    }
}
