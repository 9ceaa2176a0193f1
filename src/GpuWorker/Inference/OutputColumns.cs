using System.Globalization;
using Contracts;
using Interop.OnnxRuntime;

namespace GpuWorker.Inference;

/// <summary>Finds from what a model gave for some rows which columns its outputs are.</summary>
static class OutputColumns
{
    const int MostColumns = 4096;

    /// <param name="values">Of every output, for <paramref name="rows"/> rows.</param>
    /// <exception cref="FailureException"><c>model_output_unusable</c>, naming the output.</exception>
    internal static IReadOnlyList<OutputColumn> Of(IReadOnlyList<OnnxPort> outputs, IReadOnlyList<OnnxValue> values, int rows, IReadOnlyList<string>? classes)
    {
        var columns = new List<OutputColumn>();
        for (var i = 0; i < outputs.Count; i++)
            columns.AddRange(outputs[i].Type.Kind == OnnxKind.Sequence ? OfMaps(outputs[i], i, values[i], rows) : OfTensor(outputs[i], i, values[i], rows, classes));
        if (columns.Count > MostColumns)
            throw new FailureException("model_output_unusable", $"The model gives {columns.Count} values a row; at most {MostColumns} can become columns.");
        return Unique(columns);
    }

    static IEnumerable<OutputColumn> OfTensor(OnnxPort output, int index, OnnxValue value, int rows, IReadOnlyList<string>? classes)
    {
        if (output.Type.Kind != OnnxKind.Tensor || Columns.DuckDbType(output.Type.Element) is not { } type)
            throw Unusable(output, $"its type is {output.Type}; only tensors and sequences of maps can become columns");
        var shape = value.Shape;
        if (shape.Count == 0 || shape[0] != rows)
            throw Unusable(output, $"for {rows} rows it gives shape [{string.Join(", ", shape)}]");
        var width = value.Length / rows;
        if (width == 0)
            throw Unusable(output, "it gives no values");
        if (shape.Count == 1 || width == 1)
            return [new OutputColumn(output.Name, type, index, 0)];
        return Enumerable.Range(0, (int)Math.Min(width, MostColumns + 1)).Select(i => new OutputColumn(
            $"{output.Name}_{(classes?.Count == width ? classes[i] : i.ToString(CultureInfo.InvariantCulture))}", type, index, i));
    }

    static OutputColumn[] OfMaps(OnnxPort output, int index, OnnxValue value, int rows)
    {
        if (output.Type.Inner is not { Kind: OnnxKind.Map } map || map.Element is not (OnnxElementType.Int64 or OnnxElementType.String)
            || Columns.DuckDbType(map.Inner!.Element) is not { } type || type == "VARCHAR")
        {
            throw Unusable(output, $"its type is {output.Type}; only maps from strings or int64 to numbers can become columns");
        }
        if (value.Count != rows)
            throw Unusable(output, $"for {rows} rows it gives {value.Count} maps");
        var first = Keys(value, 0);
        for (var row = 1; row < rows; row++)
        {
            if (!Keys(value, row).SequenceEqual(first))
                throw Unusable(output, "its maps do not all have the same keys");
        }
        return [.. first.Select((key, i) => new OutputColumn($"{output.Name}_{key}", type, index, i, key))];
    }

    static string[] Keys(OnnxValue sequence, int row)
    {
        using var map = sequence.Item(row);
        using var keys = map.MapKeys();
        return keys.ElementType == OnnxElementType.String
            ? keys.Strings()
            : [.. keys.Span<long>().ToArray().Select(key => key.ToString(CultureInfo.InvariantCulture))];
    }

    // DuckDB's names do not tell upper from lower case.
    static OutputColumn[] Unique(List<OutputColumn> columns)
    {
        var taken = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        return [.. columns.Select(column =>
        {
            var name = column.Name;
            for (var i = 2; !taken.Add(name); i++)
                name = $"{column.Name}_{i}";
            return column with { Name = name };
        })];
    }

    static FailureException Unusable(OnnxPort output, string reason) =>
        new("model_output_unusable", $"The output {output.Name} does not give one result a row: {reason}.",
            new FieldFailure(output.Name, "model_output_unusable", reason));
}
