using Interop.OnnxRuntime;

namespace GpuWorker.OnlineScoring;

/// <summary>In which of the three forms a request came; it is answered in the same.</summary>
enum BodyForm
{
    /// <summary><c>{"data":[{…}]}</c></summary>
    Rows,

    /// <summary><c>{"input_data":{"columns","index","data"}}</c></summary>
    Split,

    /// <summary>Open Inference Protocol v2: <c>{"inputs":[{"name","shape","datatype","data"}]}</c></summary>
    Tensors,
}

/// <summary>One input's value: a tensor, or a sequence of tensors.</summary>
/// <param name="Shape">Of the tensor.</param>
/// <param name="Items">Of the sequence, where <paramref name="Tensor"/> is null.</param>
sealed record InputValue(string Name, TensorData? Tensor, long[] Shape, IReadOnlyList<InputValue>? Items = null) : IDisposable
{
    internal OnnxValue ToValue(OnnxEnvironment environment, OnnxType type)
    {
        if (Tensor is not null)
            return Tensor.ToValue(Shape, 0, Tensor.Count);
        if (Items!.Count == 0)
            return OnnxValue.EmptySequence(environment, type.Inner!.Element);
        var items = new OnnxValue[Items.Count];
        try
        {
            for (var i = 0; i < items.Length; i++)
                items[i] = Items[i].ToValue(environment, type.Inner!);
            return OnnxValue.Sequence(items);
        }
        finally
        {
            foreach (var item in items)
                item?.Dispose();
        }
    }

    public void Dispose()
    {
        Tensor?.Dispose();
        foreach (var item in Items ?? [])
            item.Dispose();
    }
}

/// <summary>What one caller wants scored.</summary>
/// <param name="Rows">Of each input; 0 where the inputs have no rows in common.</param>
/// <param name="Outputs">Names wanted; empty for all.</param>
/// <param name="Id">The caller's own, which the answer repeats; null for none.</param>
/// <param name="Index">JSON of the rows' labels, which the answer repeats; empty for none.</param>
sealed record ScoringRequest(
    BodyForm Form, IReadOnlyList<InputValue> Inputs, int Rows, IReadOnlyList<string> Outputs, string? Id = null, ReadOnlyMemory<byte> Index = default) : IDisposable
{
    public void Dispose()
    {
        foreach (var input in Inputs)
            input.Dispose();
    }
}
