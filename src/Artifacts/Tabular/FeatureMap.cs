using Contracts;
using Contracts.BatchInference;

namespace Artifacts.Tabular;

/// <param name="KeyTypes">DuckDB type of each key column in the output. Keys of text files stay text: 007 is not 7.</param>
public sealed record ResolvedColumns(FeatureMapping Mapping, IReadOnlyList<string> KeyTypes);

/// <summary>Decides, by name, which column feeds which input of a model, or says all that is wrong at once.</summary>
public static class FeatureMap
{
    const int ColumnsShown = 30;

    // More than a record has: an image.
    const int MostValues = 4096;

    /// <param name="requestedFeatures">Column names in the order of the model's [N, F] input; null or empty leaves it to the model's metadata.</param>
    /// <exception cref="FailureException"><c>columns_mismatch</c>, with every bad column; <c>model_not_tabular</c>.</exception>
    public static ResolvedColumns Resolve(
        ModelSignature signature, TabularInput input, IReadOnlyList<string>? requestedFeatures, IReadOnlyList<string> keyColumns) =>
        Resolve(signature, input.Columns, input.IsText, requestedFeatures, keyColumns);

    public static ResolvedColumns Resolve(
        ModelSignature signature, IReadOnlyList<TabularColumn> columns, bool isText,
        IReadOnlyList<string>? requestedFeatures, IReadOnlyList<string> keyColumns)
    {
        var failures = new List<FieldFailure>();
        var mapping = new List<InputColumns>();
        var available = new Columns(columns);
        var fed = signature.Inputs.Where(i => !i.Optional).ToArray();
        if (fed.Length == 0)
            throw NotTabular("no input that must be fed");

        var wide = fed.Where(i => IsWide(i, fed.Length, requestedFeatures ?? signature.Features)).ToArray();
        if (wide.Length > 1)
            throw NotTabular($"several inputs of several values a row ({string.Join(", ", wide.Select(w => w.Name))})");

        var features = requestedFeatures is { Count: > 0 } ? requestedFeatures : signature.Features;
        var byPosition = wide.Length == 0 && requestedFeatures?.Count == fed.Length ? requestedFeatures : null;
        if (wide.Length == 0 && byPosition is null && requestedFeatures is { Count: > 0 })
            failures.Add(new("features", "features_mismatch", $"The model has {fed.Length} inputs of one value each; list {fed.Length} columns in their order, or none to map them by name."));

        for (var i = 0; i < fed.Length; i++)
        {
            var tensor = fed[i];
            if (tensor == wide.FirstOrDefault())
            {
                var width = Width(tensor) is > 0 and var stated ? stated : signature.Features?.Count ?? -1;
                var listed = Listed(tensor, width, features, columns, keyColumns, failures);
                mapping.Add(new(tensor.Name, [.. listed.Select(name => available.Check(name, tensor, isText, failures))]));
            }
            else
            {
                mapping.Add(new(tensor.Name, [available.Check(byPosition?[i] ?? tensor.Name, tensor, isText, failures)]));
            }
        }
        var keyTypes = Keys(signature, available, isText, keyColumns, failures);
        return failures.Count == 0
            ? new ResolvedColumns(new FeatureMapping(mapping), keyTypes)
            : throw new FailureException("columns_mismatch", $"The input's columns do not fit the model: {string.Join(' ', failures.Select(f => f.Message))}", [.. failures]);
    }

    static bool IsWide(ModelTensor tensor, int inputs, IReadOnlyList<string>? features)
    {
        if (ElementType(tensor) is null)
            throw NotTabular($"an input, {tensor.Name}, of type {tensor.Type}");
        return tensor.Shape switch
        {
            null => inputs == 1 && features?.Count > 1,
            { Count: 1 } => false,
            { Count: 0 } => throw NotTabular($"an input, {tensor.Name}, of one value for all rows"),
            _ when Width(tensor) > MostValues => throw NotTabular($"an input, {tensor.Name}, of shape [{string.Join(", ", tensor.Shape)}]"),
            _ => Width(tensor) != 1,
        };
    }

    // Values a row, whatever their arrangement; -1 where the model leaves it open.
    static long Width(ModelTensor tensor) =>
        tensor.Shape is null || tensor.Shape.Skip(1).Any(size => size <= 0) ? -1 : tensor.Shape.Skip(1).Aggregate(1L, (product, size) => product * size);

    static IReadOnlyList<string> Listed(
        ModelTensor tensor, long width, IReadOnlyList<string>? features, IReadOnlyList<TabularColumn> columns, IReadOnlyList<string> keyColumns,
        List<FieldFailure> failures)
    {
        if (features is null or { Count: 0 })
        {
            var others = columns.Select(c => c.Name).Except(keyColumns).ToArray();
            var needed = width > 0 ? $"{width} values a row" : "several values a row";
            failures.Add(new("features", "features_unlisted",
                $"The input {tensor.Name} takes {needed} and the model does not say which columns they are; list them, in order, as features. The file has {Shown(others)}."));
            return [];
        }
        if (width > 0 && features.Count != width)
        {
            failures.Add(new("features", "features_mismatch", $"The input {tensor.Name} takes {width} values a row, {features.Count} features are listed."));
            return [];
        }
        if (features.GroupBy(f => f).FirstOrDefault(g => g.Count() > 1) is { } twice)
            failures.Add(new("features", "features_mismatch", $"The feature {twice.Key} is listed {twice.Count()} times."));
        return features;
    }

    static string[] Keys(ModelSignature signature, Columns available, bool isText, IReadOnlyList<string> keyColumns, List<FieldFailure> failures)
    {
        var names = keyColumns.Count > 0 ? keyColumns : ["file", "record"];
        foreach (var name in names.Where(n => signature.Columns.Any(c => c.Name.Equals(n, StringComparison.OrdinalIgnoreCase))))
            failures.Add(new("keyColumns", "column_duplicate", $"The key column {name} has the name of one of the model's outputs; choose other key columns."));
        foreach (var twice in names.GroupBy(n => n, StringComparer.OrdinalIgnoreCase).Where(g => g.Count() > 1))
            failures.Add(new("keyColumns", "column_duplicate", $"The key column {twice.Key} is listed {twice.Count()} times."));
        return [.. keyColumns.Select(name => available.Key(name, isText, failures))];
    }

    static string? ElementType(ModelTensor tensor) =>
        tensor.Type.StartsWith("tensor(", StringComparison.Ordinal) && tensor.Type[7..^1] is var element && ColumnConversion.IsElementType(element) ? element : null;

    static FailureException NotTabular(string has) =>
        new("model_not_tabular", $"The model has {has}; it cannot be fed from the columns of a table.",
            new FieldFailure("model", "model_not_tabular", $"It has {has}."));

    static string Shown(string[] names) =>
        names.Length == 0 ? "no other columns"
        : names.Length <= ColumnsShown ? string.Join(", ", names)
        : $"{string.Join(", ", names.Take(ColumnsShown))} and {names.Length - ColumnsShown} more";

    sealed class Columns(IReadOnlyList<TabularColumn> columns)
    {
        readonly Dictionary<string, TabularColumn> exact = columns.ToDictionary(c => c.Name);

        // The names as the file has them: they go into SQL and into the output.
        public string Check(string name, ModelTensor tensor, bool isText, List<FieldFailure> failures)
        {
            if (Find(name, "column_missing", failures) is not { } column)
                return name;
            if (ColumnConversion.Refusal(column.Type, isText, ElementType(tensor)!) is { } reason)
                failures.Add(new($"columns.{column.Name}", "column_type_mismatch", $"The column {column.Name} is {(isText ? "text" : column.Type)}, and {tensor.Name} takes {ElementType(tensor)}: {reason}."));
            return column.Name;
        }

        public string Key(string name, bool isText, List<FieldFailure> failures) =>
            Find(name, "key_column_missing", failures) is { } column && !isText ? column.Type : "VARCHAR";

        TabularColumn? Find(string name, string code, List<FieldFailure> failures)
        {
            if (exact.TryGetValue(name, out var column))
                return column;
            var similar = columns.Where(c => c.Name.Equals(name, StringComparison.OrdinalIgnoreCase)).ToArray();
            if (similar.Length == 1)
                return similar[0];
            if (!failures.Any(f => f.Field == $"columns.{name}" && f.Code == code))
                failures.Add(new($"columns.{name}", code, $"The column {name} is not in the input, which has {Shown([.. columns.Select(c => c.Name)])}."));
            return null;
        }
    }
}
