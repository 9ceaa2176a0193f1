using Contracts;
using Interop.OnnxRuntime;

namespace GpuWorker.Inference;

/// <summary>How one input of a model takes rows of a table.</summary>
/// <param name="Type">Of an element.</param>
/// <param name="Features">Values a row.</param>
/// <param name="Shape">As the model wants it, with 0 in place of the rows.</param>
/// <param name="Batch">Rows the model always takes; 0 when it takes any number.</param>
public sealed record InputLayout(string Name, OnnxElementType Type, int Features, long[] Shape, int Batch)
{
    /// <summary>More values a row than a table reasonably has columns: an image, not a record.</summary>
    public const int MostFeatures = 4096;

    /// <summary>DuckDB's type of the columns that <see cref="RowScorer"/> packs into this input.</summary>
    public string ColumnType => Columns.DuckDbType(Type) ?? throw new NotSupportedException($"{Type} has no column type.");

    /// <summary>The inputs that must be fed, in the file's order.</summary>
    /// <param name="features">Names of the columns of the one input of several values a row, where the model leaves their number open.</param>
    /// <exception cref="FailureException"><c>model_shape_unfeedable</c>, naming the input and its shape.</exception>
    public static IReadOnlyList<InputLayout> Of(IReadOnlyList<OnnxPort> inputs, IReadOnlyList<string>? features)
    {
        var fed = inputs.Where(input => input.Type.Kind != OnnxKind.Optional).ToArray();
        if (fed.Length == 0)
            throw new FailureException("model_shape_unfeedable", "The model has no input that must be fed, so it says nothing about rows.");
        var open = fed.Length == 1 ? features : null;
        var layouts = fed.Select(input => Of(input, open)).ToArray();
        var batches = layouts.Where(layout => layout.Batch > 0).ToArray();
        if (batches.Select(layout => layout.Batch).Distinct().Count() > 1)
        {
            throw new FailureException("model_shape_unfeedable",
                $"The inputs want different numbers of rows: {string.Join(", ", batches.Select(layout => $"{layout.Name} {layout.Batch}"))}.");
        }
        return batches.Length == 0 ? layouts : [.. layouts.Select(layout => layout with { Batch = batches[0].Batch })];
    }

    static InputLayout Of(OnnxPort input, IReadOnlyList<string>? features)
    {
        if (input.Type.Kind != OnnxKind.Tensor || Columns.DuckDbType(input.Type.Element) is null)
            throw Unfeedable(input, "only tensors of numbers, truth values and strings can be fed from columns");
        var shape = input.Type.Shape?.ToArray();
        if (shape is null)
        {
            shape = features is null
                ? throw Unfeedable(input, "the model does not say how many values a row has; list its columns in the model's metadata, key \"features\"")
                : [-1, features.Count];
        }
        if (shape.Length == 0)
            throw Unfeedable(input, "a single value is not one value a row");
        if (shape.Length == 2 && shape[1] <= 0 && features is not null)
            shape[1] = features.Count;
        var width = 1L;
        foreach (var dimension in shape.AsSpan(1))
        {
            if (dimension <= 0)
                throw Unfeedable(input, "the number of values a row is left open; list the columns in the model's metadata, key \"features\"");
            width = Math.Min(width, MostFeatures + 1) * Math.Min(dimension, MostFeatures + 1);
        }
        if (width > MostFeatures)
            throw Unfeedable(input, $"a row would need more than {MostFeatures} columns");
        if (shape[0] > MostFeatures)
            throw Unfeedable(input, $"it takes more than {MostFeatures} rows at once, no fewer");
        var batch = (int)Math.Max(shape[0], 0);
        shape[0] = 0;
        return new InputLayout(input.Name, input.Type.Element, (int)width, shape, batch);
    }

    static FailureException Unfeedable(OnnxPort input, string reason) =>
        new("model_shape_unfeedable", $"The input {input.Name}, {Describe(input.Type)}, cannot be fed from a table: {reason}.",
            new FieldFailure(input.Name, "model_shape_unfeedable", $"{Describe(input.Type)}: {reason}."));

    static string Describe(OnnxType type) => type.Shape is null
        ? type.ToString()
        : $"{type} of shape [{string.Join(", ", type.Shape.Select((size, i) => type.Symbols![i].Length > 0 ? type.Symbols[i] : size <= 0 ? "any" : size.ToString()))}]";
}
