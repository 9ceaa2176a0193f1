using Contracts;
using Contracts.BatchInference;
using Interop.DuckDb;
using Interop.OnnxRuntime;

namespace GpuWorker.BatchInference;

/// <summary>One argument of the SQL function, and where its values go.</summary>
/// <param name="Type">As SQL gives it: the file's own type, or text.</param>
/// <param name="Input">Index among the inputs of the mapping.</param>
/// <param name="Feature">Place within a row of that input.</param>
/// <param name="Element">What that input takes.</param>
sealed record ScoringArgument(string Column, string Sql, DuckDbTypeId Type, int Input, int Feature, OnnxElementType Element);

/// <summary>How rows of one file become inputs of one model, and its outputs columns.</summary>
sealed record ScoringPlan(
    IReadOnlyList<ScoringArgument> Arguments, IReadOnlyList<string> Inputs, IReadOnlyList<OutputColumn> Columns, bool AllowMissing, bool AllowNaN)
{
    /// <summary>One output column is returned as it is, several as a STRUCT whose fields are named by position.</summary>
    public bool IsStruct => Columns.Count > 1;

    public DuckDbType ResultType => IsStruct
        ? DuckDbType.Struct([.. Columns.Select((c, i) => new DuckDbField($"c{i}", TypeOf(c)))])
        : TypeOf(Columns[0]);

    public static ScoringPlan Create(ModelSignature signature, FeatureMapping mapping, IReadOnlyDictionary<string, string> columnTypes)
    {
        var arguments = new List<ScoringArgument>();
        for (var input = 0; input < mapping.Inputs.Count; input++)
        {
            var (name, columns) = mapping.Inputs[input];
            var tensor = signature.Inputs.FirstOrDefault(i => i.Name == name)
                ?? throw new FailureException("model_changed", $"The model has no input {name}; register it again.");
            var element = OnnxElementTypes.Parse(tensor.Type["tensor(".Length..^1]);
            for (var feature = 0; feature < columns.Count; feature++)
            {
                var (sql, type) = Read(columns[feature], element, columnTypes);
                arguments.Add(new ScoringArgument(columns[feature], sql, type, input, feature, element));
            }
        }
        return new ScoringPlan(arguments, [.. mapping.Inputs.Select(i => i.Input)], signature.Columns, signature.AllowMissing, signature.AllowNaN);
    }

    static (string Sql, DuckDbTypeId Type) Read(string column, OnnxElementType element, IReadOnlyDictionary<string, string> columnTypes)
    {
        if (!columnTypes.TryGetValue(column, out var type))
            throw new FailureException("column_missing", $"The column {column} is not in the file any more; submit the job again.", new FieldFailure($"columns.{column}", "column_missing", "Not in the file."));
        var identifier = DuckDbSql.Identifier(column);
        if (DuckDbType.Parse(type) is { } plain)
            return (identifier, plain.Id);
        // Wider than any tensor. To a fraction nothing more is lost by way of DOUBLE; an integer is checked from its digits.
        return element is OnnxElementType.Float or OnnxElementType.Double or OnnxElementType.Float16 or OnnxElementType.BFloat16
            ? ($"CAST({identifier} AS DOUBLE)", DuckDbTypeId.Double)
            : ($"CAST({identifier} AS VARCHAR)", DuckDbTypeId.Varchar);
    }

    static DuckDbType TypeOf(OutputColumn column) => DuckDbType.Parse(column.Type)
        ?? throw new FailureException("model_changed", $"The output column {column.Name} has the type {column.Type}, which is not known here.");
}
