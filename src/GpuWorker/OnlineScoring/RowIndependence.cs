using GpuWorker.Inference;
using Interop.OnnxRuntime;

namespace GpuWorker.OnlineScoring;

/// <summary>
/// Whether rows of several callers may share a run: every input and output says that its first dimension is the same symbolic one, and
/// rows that were tried together gave what each gave alone.
/// </summary>
static class RowIndependence
{
    const int Rows = 5;
    const long LargestRow = 1 << 20;

    // Kernels for many rows add in another order than those for one.
    const double Relative = 1e-4, Absolute = 1e-5;
    const double HalfRelative = 1e-2, HalfAbsolute = 1e-3;

    /// <returns>Null when they may.</returns>
    internal static string? WhyNot(OnlineModel model)
    {
        var onnx = model.Session.Onnx;
        if (Symbol(onnx.Inputs.Concat(onnx.Outputs)) is not { Length: > 0 })
            return "its inputs and outputs do not share a symbolic first dimension";
        if (model.NotTabular is not null && onnx.Inputs.Any(input => input.Type.Shape!.Skip(1).Any(size => size <= 0)))
            return "its inputs leave more open than the number of rows";
        if (onnx.Inputs.Any(input => input.Type.Shape!.Skip(1).Aggregate(1.0, (product, size) => product * Math.Max(size, 1)) > LargestRow))
            return $"a row has more than {LargestRow} values";
        foreach (var constant in new[] { false, true })
        {
            try
            {
                if (!AreEqual(model, new GeneratedRows(constant)))
                    return "rows that were tried together gave other results than each alone";
                if (!constant)
                    return null;
            }
            catch (OnnxException) when (!constant)
            {
                // Made-up numbers may be no indices: zeros are tried next, which tell nothing of a difference between rows.
            }
            catch (OnnxException e)
            {
                return $"it fails on made-up rows: {e.Message}";
            }
        }
        return "it takes no made-up rows that differ from each other";
    }

    static string? Symbol(IEnumerable<OnnxPort> ports)
    {
        string? shared = null;
        foreach (var port in ports)
        {
            if (port.Type is not { Kind: OnnxKind.Tensor, Symbols: [var symbol, ..] } || symbol.Length == 0 || (shared ?? symbol) != symbol)
                return null;
            shared = symbol;
        }
        return shared;
    }

    static bool AreEqual(OnlineModel model, GeneratedRows generated)
    {
        var onnx = model.Session.Onnx;
        var tensors = onnx.Inputs.Select(input => Generate(generated, input)).ToArray();
        var together = new List<OnnxValue>();
        try
        {
            together.AddRange(OnlineRun.Run(model, [.. tensors.Select((tensor, i) => new OnnxInput(onnx.Inputs[i].Name, tensor.Tensor!.ToValue(tensor.Shape, 0, tensor.Tensor.Count)))], [], null));
            if (together.Any(output => output.Shape.Count == 0 || output.Shape[0] != Rows))
                return false;
            for (var row = 0; row < Rows; row++)
            {
                var alone = OnlineRun.Run(model, [.. tensors.Select((tensor, i) => new OnnxInput(onnx.Inputs[i].Name, Row(tensor, row)))], [], null);
                try
                {
                    for (var i = 0; i < alone.Count; i++)
                        if (!IsRow(together[i], row, alone[i]))
                            return false;
                }
                finally
                {
                    foreach (var output in alone)
                        output.Dispose();
                }
            }
            return true;
        }
        finally
        {
            foreach (var output in together)
                output.Dispose();
            foreach (var tensor in tensors)
                tensor.Dispose();
        }
    }

    static OnnxValue Row(InputValue input, int row)
    {
        var width = input.Tensor!.Count / Rows;
        return input.Tensor.ToValue([1, .. input.Shape.AsSpan(1)], row * width, width);
    }

    static unsafe InputValue Generate(GeneratedRows generated, OnnxPort input)
    {
        long[] shape = [Rows, .. input.Type.Shape!.Skip(1)];
        var width = (int)shape.Skip(1).Aggregate(1L, (product, size) => product * size);
        using var value = generated.Tensor(new InputLayout(input.Name, input.Type.Element, width, [0, .. shape.AsSpan(1)], 0), Rows);
        var data = new TensorData(input.Type.Element, Rows * width);
        data.Add(value);
        return new InputValue(input.Name, data, shape);
    }

    static unsafe bool IsRow(OnnxValue together, int row, OnnxValue alone)
    {
        if (alone.ElementType != together.ElementType || alone.Shape.Count != together.Shape.Count || alone.Shape[0] != 1
            || !alone.Shape.Skip(1).SequenceEqual(together.Shape.Skip(1)))
        {
            return false;
        }
        var width = (int)alone.Length;
        if (alone.ElementType == OnnxElementType.String)
            return together.Strings().AsSpan(row * width, width).SequenceEqual(alone.Strings());
        var size = alone.ElementType.BitsPerElement() / 8;
        var bytes = together.Bytes().Slice(row * width * size, width * size);
        if (!JsonElements.IsReal(alone.ElementType))
            return bytes.SequenceEqual(alone.Bytes());
        var isHalf = alone.ElementType is OnnxElementType.Float16 or OnnxElementType.BFloat16;
        fixed (byte* a = bytes, b = alone.Bytes())
        {
            for (var i = 0; i < width; i++)
            {
                var (x, y) = (JsonElements.Real(alone.ElementType, a + i * size), JsonElements.Real(alone.ElementType, b + i * size));
                var tolerance = isHalf ? HalfAbsolute + HalfRelative * Math.Abs(y) : Absolute + Relative * Math.Abs(y);
                if (!(x.Equals(y) || Math.Abs(x - y) <= tolerance))
                    return false;
            }
        }
        return true;
    }
}
