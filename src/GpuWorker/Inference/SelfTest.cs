using Contracts;
using Interop.OnnxRuntime;

namespace GpuWorker.Inference;

/// <summary>
/// A model that is opened must compute what it computed when it was registered, whatever device and library are here. Made-up rows are
/// the same everywhere; the first numbers of the outputs are kept with the version.
/// </summary>
static class SelfTest
{
    const int Rows = 3;
    internal const int MostValues = 24;

    // Devices add in other orders, and with other roundings; a wrong kernel is further off.
    const double Relative = 1e-2, Absolute = 1e-3;

    /// <summary>What the model gives; null where that says nothing: it takes no rows, gives no numbers, or has inputs that may be absent.</summary>
    internal static ModelGolden? Record(OnnxSession onnx, IReadOnlyList<string>? features, bool constant)
    {
        if (onnx.Inputs.Any(input => input.Type.Kind == OnnxKind.Optional))
            return null;
        var layouts = InputLayout.Of(onnx.Inputs, features);
        var values = Run(onnx, layouts, new GeneratedRows(constant));
        return values.Count > 0 && values.All(double.IsFinite) ? new ModelGolden(constant, values) : null;
    }

    /// <exception cref="FailureException"><c>model_selftest_failed</c>.</exception>
    internal static void Check(ModelSession session, ModelGolden? golden)
    {
        if (golden is null)
            return;
        IReadOnlyList<double> values;
        try
        {
            values = Run(session.Onnx, InputLayout.Of(session.Onnx.Inputs, ModelMetadata.Read(session.Onnx.Info.Metadata).Features), new GeneratedRows(golden.IsConstant));
        }
        catch (OnnxException e)
        {
            throw new FailureException(new Failure("model_selftest_failed", $"The model fails here on rows that it scored when it was registered: {e.Message}"), inner: e);
        }
        for (var i = 0; i < golden.Values.Count; i++)
        {
            if (i >= values.Count || !(Math.Abs(values[i] - golden.Values[i]) <= Absolute + Relative * Math.Abs(golden.Values[i])))
            {
                throw new FailureException("model_selftest_failed",
                    $"On {session.Onnx.Provider} the model computes something else than when it was registered: {(i < values.Count ? values[i] : "nothing")} instead of {golden.Values[i]}. Take another execution provider (Inference:Providers), or register it again.");
            }
        }
    }

    static IReadOnlyList<double> Run(OnnxSession onnx, IReadOnlyList<InputLayout> layouts, GeneratedRows generated)
    {
        var rows = layouts[0].Batch > 0 ? layouts[0].Batch : Rows;
        var inputs = layouts.Select(layout => new OnnxInput(layout.Name, generated.Tensor(layout, rows))).ToArray();
        IReadOnlyList<OnnxValue> outputs = [];
        try
        {
            outputs = onnx.Run(inputs);
            return [.. outputs.SelectMany(Numbers).Take(MostValues)];
        }
        finally
        {
            foreach (var input in inputs)
                input.Value.Dispose();
            foreach (var output in outputs)
                output.Dispose();
        }
    }

    static double[] Numbers(OnnxValue value)
    {
        if (value.Kind != OnnxKind.Tensor)
            return [];
        var count = (int)Math.Min(value.Length, MostValues);
        return value.ElementType switch
        {
            OnnxElementType.Float => [.. value.Span<float>()[..count].ToArray().Select(one => (double)one)],
            OnnxElementType.Double => value.Span<double>()[..count].ToArray(),
            OnnxElementType.Int64 => [.. value.Span<long>()[..count].ToArray().Select(one => (double)one)],
            _ => [],
        };
    }
}
