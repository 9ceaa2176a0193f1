using System.Buffers;
using System.Text.Json;
using Contracts;
using GpuWorker.Inference;
using Interop.OnnxRuntime;

namespace GpuWorker.OnlineScoring;

/// <summary>Writes what a request got in the form in which it came.</summary>
static unsafe class AnswerWriter
{
    internal static void Write(IBufferWriter<byte> body, OnlineModel model, string name, ScoringRequest request, ScoringResult result)
    {
        using var json = new Utf8JsonWriter(body, new JsonWriterOptions { SkipValidation = true });
        json.WriteStartObject();
        if (request.Form == BodyForm.Tensors)
        {
            json.WriteString("model_name"u8, name);
            json.WriteString("model_version"u8, model.Session.Sha256);
            if (request.Id is not null)
                json.WriteString("id"u8, request.Id);
            WriteTensors(json, model, request, result);
        }
        else
        {
            json.WriteString("model"u8, name);
            json.WriteString("version"u8, model.Session.Sha256);
            using var columns = new ResultColumns(model, result);
            if (request.Form == BodyForm.Rows)
                WriteRows(json, model, columns);
            else
                WriteSplit(json, model, request, columns);
        }
        json.WriteEndObject();
    }

    static void WriteRows(Utf8JsonWriter json, OnlineModel model, ResultColumns columns)
    {
        json.WriteStartArray("predictions"u8);
        for (var row = 0; row < columns.Rows; row++)
        {
            json.WriteStartObject();
            for (var i = 0; i < model.Results.Count; i++)
            {
                json.WritePropertyName(model.ResultNames[i]);
                columns.Write(json, row, i);
            }
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    static void WriteSplit(Utf8JsonWriter json, OnlineModel model, ScoringRequest request, ResultColumns columns)
    {
        json.WriteStartObject("output_data"u8);
        json.WriteStartArray("columns"u8);
        foreach (var name in model.ResultNames)
            json.WriteStringValue(name);
        json.WriteEndArray();
        if (!request.Index.IsEmpty)
        {
            json.WritePropertyName("index"u8);
            // It was read as JSON before.
            json.WriteRawValue(request.Index.Span, skipInputValidation: true);
        }
        json.WriteStartArray("data"u8);
        for (var row = 0; row < columns.Rows; row++)
        {
            json.WriteStartArray();
            for (var i = 0; i < model.Results.Count; i++)
                columns.Write(json, row, i);
            json.WriteEndArray();
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }

    static void WriteTensors(Utf8JsonWriter json, OnlineModel model, ScoringRequest request, ScoringResult result)
    {
        var names = request.Outputs.Count > 0 ? request.Outputs : model.OutputNames;
        json.WriteStartArray("outputs"u8);
        for (var i = 0; i < names.Count; i++)
        {
            json.WriteStartObject();
            json.WriteString("name"u8, names[i]);
            if (request.Rows > 0)
                WriteRowsOf(json, i, request.Rows, result);
            else
                WriteValue(json, result.Parts[0].Outputs.Values[i]);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    // The request's rows of an output, which may be some of a run's, or of several runs.
    static void WriteRowsOf(Utf8JsonWriter json, int output, int rows, ScoringResult result)
    {
        var first = result.Parts[0].Outputs.Values[output];
        WriteHead(json, first, rows);
        json.WriteStartArray("data"u8);
        foreach (var part in result.Parts)
        {
            var value = part.Outputs.Values[output];
            var width = value.Length / value.Shape[0];
            WriteElements(json, value, part.First * width, part.Count * width);
        }
        json.WriteEndArray();
    }

    static void WriteValue(Utf8JsonWriter json, OnnxValue value)
    {
        switch (value.HasValue ? value.Kind : OnnxKind.Optional)
        {
            case OnnxKind.Tensor:
                WriteTensor(json, value);
                break;
            case OnnxKind.Sequence:
                json.WriteString("datatype"u8, TensorNames.Sequence);
                json.WriteStartArray("data"u8);
                for (var i = 0; i < value.Count; i++)
                {
                    using var item = value.Item(i);
                    json.WriteStartObject();
                    WriteValue(json, item);
                    json.WriteEndObject();
                }
                json.WriteEndArray();
                break;
            case OnnxKind.Map:
                using (var keys = value.MapKeys())
                using (var values = value.MapValues())
                {
                    json.WriteString("datatype"u8, TensorNames.Map);
                    json.WriteStartObject("keys"u8);
                    WriteTensor(json, keys);
                    json.WriteEndObject();
                    json.WriteStartObject("values"u8);
                    WriteTensor(json, values);
                    json.WriteEndObject();
                }
                break;
            default:
                json.WriteNull("data"u8);
                break;
        }
    }

    static void WriteTensor(Utf8JsonWriter json, OnnxValue value)
    {
        WriteHead(json, value, value.Shape.Count > 0 ? value.Shape[0] : 0);
        json.WriteStartArray("data"u8);
        WriteElements(json, value, 0, value.Length);
        json.WriteEndArray();
    }

    /// <param name="rows">In place of the first dimension.</param>
    static void WriteHead(Utf8JsonWriter json, OnnxValue value, long rows)
    {
        json.WriteString("datatype"u8, TensorNames.Of(value.ElementType) ?? value.ElementType.Spelling());
        json.WriteStartArray("shape"u8);
        foreach (var (i, size) in value.Shape.Index())
            json.WriteNumberValue(i == 0 ? rows : size);
        json.WriteEndArray();
    }

    static void WriteElements(Utf8JsonWriter json, OnnxValue value, long first, long count)
    {
        if (value.ElementType == OnnxElementType.String)
        {
            foreach (var text in value.Strings().AsSpan((int)first, (int)count))
                json.WriteStringValue(text);
            return;
        }
        var size = value.ElementType.BitsPerElement() / 8;
        fixed (byte* elements = value.Bytes())
            for (var i = first; i < first + count; i++)
                JsonElements.Write(json, value.ElementType, elements + i * size);
    }
}

/// <summary>The output columns of a result, row by row.</summary>
sealed unsafe class ResultColumns : IDisposable
{
    readonly OnlineModel model;
    readonly ScoringResult result;
    readonly List<AlignedBuffer> maps = [];
    readonly string[]?[] texts;
    readonly int[] widths;
    int part;
    int start;

    internal ResultColumns(OnlineModel model, ScoringResult result)
    {
        (this.model, this.result) = (model, result);
        widths = new int[model.OutputNames.Count];
        foreach (var column in model.Results)
            widths[column.Output]++;
        texts = new string[]?[widths.Length];
        Rows = result.Parts.Sum(p => p.Count);
        ReadPart();
    }

    internal int Rows { get; }

    /// <param name="row">Not below that of the call before.</param>
    internal void Write(Utf8JsonWriter json, int row, int column)
    {
        while (row - start >= result.Parts[part].Count)
        {
            start += result.Parts[part++].Count;
            ReadPart();
        }
        var (about, rows) = (model.Results[column], result.Parts[part]);
        var index = (long)(rows.First + row - start) * widths[about.Output] + about.Index;
        if (texts[about.Output] is { } strings)
        {
            json.WriteStringValue(strings[index]);
            return;
        }
        var type = model.ResultTypes[about.Output];
        var size = type.BitsPerElement() / 8;
        if (about.Key is not null)
        {
            JsonElements.Write(json, type, maps[about.Output].Pointer + index * size);
            return;
        }
        fixed (byte* elements = rows.Outputs.Values[about.Output].Bytes())
            JsonElements.Write(json, type, elements + index * size);
    }

    public void Dispose() => DropMaps();

    void DropMaps()
    {
        foreach (var map in maps)
            map.Dispose();
        maps.Clear();
    }

    // Strings and maps are taken over once a run.
    void ReadPart()
    {
        DropMaps();
        var values = result.Parts[part].Outputs.Values;
        for (var i = 0; i < values.Count; i++)
        {
            var (rows, rowBytes) = (result.Parts[part].First + result.Parts[part].Count, widths[i] * model.ResultTypes[i].BitsPerElement() / 8);
            texts[i] = values[i].Kind == OnnxKind.Tensor && values[i].ElementType == OnnxElementType.String ? values[i].Strings() : null;
            maps.Add(new AlignedBuffer(values[i].Kind == OnnxKind.Sequence ? (long)rows * rowBytes : 0));
            if (values[i].Kind != OnnxKind.Sequence)
                continue;
            // A reader of keys has memory of its own, and this answer may be written beside others.
            var keys = model.MapKeys(i);
            for (var row = 0; row < rows; row++)
                if (!keys.TryRead(values[i], row, new Span<byte>(maps[i].Pointer + (long)row * rowBytes, rowBytes)))
                    throw new FailureException("model_output_unusable", $"The output {model.OutputNames[i]} gave maps with other keys than in the dry run.");
        }
    }
}
