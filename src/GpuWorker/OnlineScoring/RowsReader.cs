using System.Text.Json;
using Contracts;
using GpuWorker.Inference;
using Interop.OnnxRuntime;

namespace GpuWorker.OnlineScoring;

/// <summary>
/// Rows by name, straight into the inputs' memory: one pass over the bytes, and nothing allocated per row. Columns that the model does not
/// know are passed over: a row may carry its caller's own keys.
/// </summary>
ref struct RowsReader
{
    readonly OnlineModel model;
    readonly OnlineScoringOptions options;
    readonly BadFields bad = new();
    readonly TensorData[] inputs;
    readonly int[] seen;
    readonly string path;
    int rows;
    int next;

    RowsReader(OnlineModel model, OnlineScoringOptions options, string path, int expectedRows)
    {
        (this.model, this.options, this.path) = (model, options, path);
        if (model.NotTabular is { } reason)
            throw new FailureException(reason);
        inputs = [.. model.Layouts.Select(layout => new TensorData(layout.Type, expectedRows * layout.Features))];
        seen = new int[model.Columns.Count];
    }

    internal static ScoringRequest ReadRows(ReadOnlyMemory<byte> body, OnlineModel model, OnlineScoringOptions options)
    {
        var rows = new RowsReader(model, options, "data", 1);
        try
        {
            var reader = new Utf8JsonReader(body.Span, BodyReader.Json);
            reader.Read();
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (reader.ValueTextEquals("data"u8))
                    rows.ReadObjects(ref reader);
                else
                    throw Unknown(reader.GetString()!, "data");
            }
            BodyReader.End(ref reader);
            return rows.End(BodyForm.Rows, default);
        }
        catch
        {
            rows.Drop();
            throw;
        }
    }

    internal static ScoringRequest ReadSplit(ReadOnlyMemory<byte> body, OnlineModel model, OnlineScoringOptions options)
    {
        var rows = new RowsReader(model, options, "input_data.data", 1);
        try
        {
            // The columns' names may stand behind what they name.
            var (columns, index, data) = Parts(body, model);
            var reader = new Utf8JsonReader(data.Span, BodyReader.Json);
            rows.ReadLists(ref reader, columns);
            var request = rows.End(BodyForm.Split, index);
            CheckIndex(index, request.Rows);
            return request;
        }
        catch
        {
            rows.Drop();
            throw;
        }
    }

    void ReadObjects(ref Utf8JsonReader reader)
    {
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartArray)
            throw Wrong(path, "Must be a list of rows.");
        if (rows > 0)
            throw new FailureException("duplicate_field", "data is there twice.", new FieldFailure("data", "duplicate_field", "It is there twice."));
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray && !bad.IsFull)
        {
            Begin();
            if (reader.TokenType != JsonTokenType.StartObject)
            {
                bad.Add($"{path}[{rows - 1}]", "wrong_type", $"{path}[{rows - 1}] must be an object with the row's values by name.");
                reader.Skip();
                continue;
            }
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var column = Find(ref reader);
                reader.Read();
                if (column < 0)
                    reader.Skip();
                else
                    Set(column, ref reader);
            }
            CheckMissing();
        }
        bad.ThrowIfAny();
    }

    void ReadLists(ref Utf8JsonReader reader, int[] columns)
    {
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartArray)
            throw Wrong(path, "Must be a list of rows, each a list of values.");
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray && !bad.IsFull)
        {
            Begin();
            var row = $"{path}[{rows - 1}]";
            if (reader.TokenType != JsonTokenType.StartArray)
            {
                bad.Add(row, "wrong_type", $"{row} must be a list of values.");
                reader.Skip();
                continue;
            }
            var position = 0;
            for (; reader.Read() && reader.TokenType != JsonTokenType.EndArray; position++)
            {
                if (position >= columns.Length || columns[position] < 0)
                    reader.Skip();
                else
                    Set(columns[position], ref reader);
            }
            if (position != columns.Length)
                bad.Add(row, "wrong_length", $"{row} has {position} values for {columns.Length} columns.");
            else
                CheckMissing();
        }
        bad.ThrowIfAny();
    }

    void Begin()
    {
        if (++rows > options.MaxRows)
            throw new FailureException("body_too_large", $"There are more than {options.MaxRows} rows; send fewer at once, or submit a batch job.");
        next = 0;
        for (var i = 0; i < inputs.Length; i++)
            inputs[i].Extend(model.Layouts[i].Features);
    }

    // Rows nearly always name their columns in one order: the next one is looked at first.
    int Find(ref Utf8JsonReader reader)
    {
        for (var i = 0; i < model.Columns.Count; i++)
        {
            var column = next + i < model.Columns.Count ? next + i : next + i - model.Columns.Count;
            if (reader.ValueTextEquals(model.Columns[column].Utf8))
            {
                next = column + 1 < model.Columns.Count ? column + 1 : 0;
                return column;
            }
        }
        return -1;
    }

    void Set(int column, ref Utf8JsonReader reader)
    {
        var target = model.Columns[column];
        var layout = model.Layouts[target.Input];
        var first = (rows - 1) * layout.Features;
        if (seen[column] == rows)
            bad.Add(Path(column), "duplicate_field", $"{Path(column)} is there twice.");
        seen[column] = rows;
        if (target.Feature >= 0)
        {
            SetOne(column, first + target.Feature, ref reader);
            return;
        }
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            bad.Add(Path(column), "wrong_type", $"{Path(column)} must be a list of {layout.Features} values.");
            reader.Skip();
            return;
        }
        var count = 0;
        for (; reader.Read() && reader.TokenType != JsonTokenType.EndArray; count++)
        {
            if (count < layout.Features)
                SetOne(column, first + count, ref reader);
            else
                reader.Skip();
        }
        if (count != layout.Features)
            bad.Add(Path(column), "wrong_length", $"{Path(column)} has {count} values where the model takes {layout.Features}.");
    }

    void SetOne(int column, int index, ref Utf8JsonReader reader)
    {
        var layout = model.Layouts[model.Columns[column].Input];
        var tensor = inputs[model.Columns[column].Input];
        if (reader.TokenType == JsonTokenType.Null)
        {
            if (model.AllowMissing && JsonElements.IsReal(layout.Type))
                tensor.SetMissing(index);
            else
                bad.Add(Path(column), "value_missing", $"{Path(column)} is null, and the model takes no missing values.");
        }
        else if (!tensor.TrySet(index, ref reader))
        {
            bad.Add(Path(column), "wrong_type", $"{Path(column)} cannot be a {layout.Type.Spelling()}.");
            reader.Skip();
        }
        else if (!model.AllowNaN && tensor.IsNaN(index))
        {
            bad.Add(Path(column), "value_nan", $"{Path(column)} is NaN, which the model forbids.");
        }
    }

    // A list under the input's own name stands for each of its features.
    readonly void CheckMissing()
    {
        for (var i = 0; i < seen.Length; i++)
        {
            var column = model.Columns[i];
            if (column.IsListed && seen[i] != rows && !(column.Whole >= 0 && seen[column.Whole] == rows))
                bad.Add(Path(i), "column_missing", $"{Path(i)} is missing.");
        }
    }

    readonly string Path(int column) => path == "data" ? $"{path}[{rows - 1}].{model.Columns[column].Name}" : $"{path}[{rows - 1}][{model.Columns[column].Name}]";

    readonly ScoringRequest End(BodyForm form, ReadOnlyMemory<byte> index)
    {
        if (rows == 0)
            throw Wrong(path, "There are no rows.");
        var values = new InputValue[inputs.Length];
        for (var i = 0; i < values.Length; i++)
        {
            long[] shape = [rows, .. model.Layouts[i].Shape.AsSpan(1)];
            values[i] = new InputValue(model.Layouts[i].Name, inputs[i], shape);
        }
        return new ScoringRequest(form, values, rows, [], Index: index);
    }

    readonly void Drop()
    {
        foreach (var input in inputs)
            input.Dispose();
    }

    static (int[] Columns, ReadOnlyMemory<byte> Index, ReadOnlyMemory<byte> Data) Parts(ReadOnlyMemory<byte> body, OnlineModel model)
    {
        int[]? columns = null;
        ReadOnlyMemory<byte> index = default, data = default;
        var reader = new Utf8JsonReader(body.Span, BodyReader.Json);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (!reader.ValueTextEquals("input_data"u8))
                throw Unknown(reader.GetString()!, "input_data");
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
                throw Wrong("input_data", "Must be an object with columns and data.");
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (reader.ValueTextEquals("columns"u8))
                    columns = ReadColumns(ref reader, model);
                else if (reader.ValueTextEquals("data"u8))
                    data = Value(ref reader, body);
                else if (reader.ValueTextEquals("index"u8))
                    index = Value(ref reader, body);
                else
                    throw Unknown($"input_data.{reader.GetString()}", "columns, index and data");
            }
        }
        BodyReader.End(ref reader);
        if (data.IsEmpty)
            throw new FailureException("field_missing", "input_data has no data.", new FieldFailure("input_data.data", "field_missing", "It is missing."));
        // Without names, the values come in the order in which the model lists its columns.
        return (columns ?? [.. Enumerable.Range(0, model.Columns.Count).Where(i => model.Columns[i].IsListed)], index, data);
    }

    static ReadOnlyMemory<byte> Value(ref Utf8JsonReader reader, ReadOnlyMemory<byte> body)
    {
        reader.Read();
        var start = (int)reader.TokenStartIndex;
        reader.Skip();
        return body[start..(int)reader.BytesConsumed];
    }

    static int[] ReadColumns(ref Utf8JsonReader reader, OnlineModel model)
    {
        var columns = new List<int>();
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartArray)
            throw Wrong("input_data.columns", "Must be a list of names.");
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.String)
                throw Wrong($"input_data.columns[{columns.Count}]", "Must be a name.");
            if (columns.Count >= 2 * InputLayout.MostFeatures)
                throw Wrong("input_data.columns", "There are too many.");
            var column = -1;
            for (var i = 0; i < model.Columns.Count && column < 0; i++)
                if (reader.ValueTextEquals(model.Columns[i].Utf8))
                    column = i;
            columns.Add(column);
        }
        return [.. columns];
    }

    static void CheckIndex(ReadOnlyMemory<byte> index, int rows)
    {
        if (index.IsEmpty)
            return;
        var reader = new Utf8JsonReader(index.Span, BodyReader.Json);
        reader.Read();
        if (reader.TokenType == JsonTokenType.Null)
            return;
        var count = 0;
        if (reader.TokenType != JsonTokenType.StartArray)
            throw Wrong("input_data.index", "Must be a list, one label for each row.");
        for (; reader.Read() && reader.TokenType != JsonTokenType.EndArray; count++)
            reader.Skip();
        if (count != rows)
            throw Wrong("input_data.index", $"Has {count} labels for {rows} rows.");
    }

    static FailureException Unknown(string name, string known) => new("unknown_field", $"There is no field {name} here; known: {known}.",
        new FieldFailure(name, "unknown_field", $"Known here: {known}."));

    static FailureException Wrong(string field, string message) => new("wrong_type", $"{field}: {message}", new FieldFailure(field, "wrong_type", message));
}
