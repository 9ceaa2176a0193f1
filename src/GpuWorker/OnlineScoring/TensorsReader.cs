using System.Text.Json;
using Contracts;
using GpuWorker.Inference;
using Interop.OnnxRuntime;

namespace GpuWorker.OnlineScoring;

/// <summary>
/// Open Inference Protocol v2, which says what rows cannot: any shape, and one step further, sequences of tensors
/// (<c>"datatype":"SEQUENCE","data":[{"shape","datatype","data"}]</c>).
/// </summary>
ref struct TensorsReader
{
    const int MostDimensions = 16;

    readonly OnlineModel model;
    readonly List<InputValue> inputs = [];
    readonly List<string> outputs = [];
    string? id;

    TensorsReader(OnlineModel model) => this.model = model;

    internal static ScoringRequest Read(ReadOnlyMemory<byte> body, OnlineModel model, OnlineScoringOptions options)
    {
        var tensors = new TensorsReader(model);
        try
        {
            var reader = new Utf8JsonReader(body.Span, BodyReader.Json);
            reader.Read();
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
                tensors.ReadMember(ref reader);
            BodyReader.End(ref reader);
            return tensors.End(options);
        }
        catch
        {
            foreach (var input in tensors.inputs)
                input.Dispose();
            throw;
        }
    }

    void ReadMember(ref Utf8JsonReader reader)
    {
        if (reader.ValueTextEquals("inputs"u8))
        {
            Expect(ref reader, JsonTokenType.StartArray, "inputs", "Must be a list of tensors.");
            while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
                inputs.Add(ReadTensor(ref reader, $"inputs[{inputs.Count}]", null));
        }
        else if (reader.ValueTextEquals("id"u8))
        {
            Expect(ref reader, JsonTokenType.String, "id", "Must be text.");
            id = reader.GetString();
        }
        else if (reader.ValueTextEquals("outputs"u8))
        {
            ReadOutputs(ref reader);
        }
        else if (reader.ValueTextEquals("parameters"u8))
        {
            // None is known; the protocol lets every client send some.
            reader.Read();
            reader.Skip();
        }
        else
        {
            var name = reader.GetString()!;
            throw Fail(name, "unknown_field", $"There is no field {name} here; known: id, parameters, inputs, outputs.");
        }
    }

    void ReadOutputs(ref Utf8JsonReader reader)
    {
        Expect(ref reader, JsonTokenType.StartArray, "outputs", "Must be a list of objects with names.");
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            var field = $"outputs[{outputs.Count}]";
            if (reader.TokenType != JsonTokenType.StartObject)
                throw Fail(field, "wrong_type", "Must be an object with a name.");
            string? name = null;
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var isName = reader.ValueTextEquals("name"u8);
                reader.Read();
                if (isName && reader.TokenType == JsonTokenType.String)
                    name = reader.GetString();
                else
                    reader.Skip();
            }
            if (model.Session.Onnx.Outputs.All(port => port.Name != name))
                throw Fail($"{field}.name", "output_unknown", $"The model has no output {name}; it has {string.Join(", ", model.Session.Onnx.Outputs.Select(port => port.Name))}.");
            if (outputs.Contains(name!))
                throw Fail($"{field}.name", "duplicate_field", $"The output {name} is there twice.");
            outputs.Add(name!);
        }
    }

    // The members may come in any order: the data are read once the rest is known.
    InputValue ReadTensor(ref Utf8JsonReader reader, string field, OnnxType? itemOf)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
            throw Fail(field, "wrong_type", "Must be an object with name, shape, datatype and data.");
        string? name = null, datatype = null;
        List<long>? shape = null;
        Utf8JsonReader data = default;
        var hasData = false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("name"u8))
            {
                Expect(ref reader, JsonTokenType.String, $"{field}.name", "Must be text.");
                name = reader.GetString();
            }
            else if (reader.ValueTextEquals("datatype"u8))
            {
                Expect(ref reader, JsonTokenType.String, $"{field}.datatype", "Must be text.");
                datatype = reader.GetString();
            }
            else if (reader.ValueTextEquals("shape"u8))
            {
                shape = ReadShape(ref reader, $"{field}.shape");
            }
            else if (reader.ValueTextEquals("data"u8))
            {
                reader.Read();
                data = reader;
                hasData = true;
                reader.Skip();
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }
        var type = itemOf ?? TypeOf(name, field);
        if (!hasData)
            throw Fail($"{field}.data", "field_missing", "It is missing.");
        return type.Kind == OnnxKind.Sequence
            ? ReadSequence(ref data, name ?? "", type, datatype, field)
            : ReadNumbers(ref data, name ?? "", type, datatype, shape, field);
    }

    OnnxType TypeOf(string? name, string field)
    {
        var onnx = model.Session.Onnx;
        var port = onnx.Inputs.Concat(onnx.OverridableInitializers).FirstOrDefault(port => port.Name == name)
            ?? throw Fail($"{field}.name", "input_unknown", $"The model has no input {name}; it has {string.Join(", ", onnx.Inputs.Select(port => port.Name))}.");
        if (inputs.Any(input => input.Name == name))
            throw Fail($"{field}.name", "duplicate_field", $"The input {name} is there twice.");
        return port.Type.Kind == OnnxKind.Optional ? port.Type.Inner! : port.Type;
    }

    InputValue ReadSequence(ref Utf8JsonReader data, string name, OnnxType type, string? datatype, string field)
    {
        if (datatype != TensorNames.Sequence || data.TokenType != JsonTokenType.StartArray)
            throw Fail(field, "wrong_type", $"The input is a {type}: its datatype must be {TensorNames.Sequence}, its data a list of tensors.");
        var items = new List<InputValue>();
        try
        {
            while (data.Read() && data.TokenType != JsonTokenType.EndArray)
                items.Add(ReadTensor(ref data, $"{field}.data[{items.Count}]", type.Inner));
            return new InputValue(name, null, [], items);
        }
        catch
        {
            foreach (var item in items)
                item.Dispose();
            throw;
        }
    }

    static InputValue ReadNumbers(ref Utf8JsonReader data, string name, OnnxType type, string? datatype, List<long>? shape, string field)
    {
        if (type.Kind != OnnxKind.Tensor || TensorNames.Of(type.Element) is not { } wanted)
            throw Fail(field, "wrong_type", $"The input is a {type}, which cannot be sent as JSON.");
        if (datatype != wanted)
            throw Fail($"{field}.datatype", "wrong_type", $"The model's input {name} takes {wanted}, not {datatype ?? "nothing"}.");
        if (shape is null)
            throw Fail($"{field}.shape", "field_missing", "It is missing.");
        Check(type, shape, name, field);
        // What is said to come is not believed before it does.
        var tensor = new TensorData(type.Element, 64);
        try
        {
            var total = shape.Aggregate(1L, (product, size) => size == 0 ? 0 : product > int.MaxValue ? product : product * size);
            if (data.TokenType == JsonTokenType.StartArray)
                ReadList(ref data, tensor, total, field);
            else if (total == 1)
                ReadElement(ref data, tensor, field);
            else
                throw Fail($"{field}.data", "wrong_type", "Must be a list.");
            if (tensor.Count != total)
                throw Fail($"{field}.data", "wrong_length", $"Has {tensor.Count} values where shape [{string.Join(", ", shape)}] has {total}.");
            return new InputValue(name, tensor, [.. shape]);
        }
        catch
        {
            tensor.Dispose();
            throw;
        }
    }

    static void Check(OnnxType type, List<long> shape, string name, string field)
    {
        if (type.Shape is null)
            return;
        var fits = type.Shape.Count == shape.Count;
        for (var i = 0; fits && i < shape.Count; i++)
            fits = type.Shape[i] <= 0 || type.Shape[i] == shape[i];
        if (!fits)
        {
            var wanted = type.Shape.Select((size, i) => size > 0 ? $"{size}" : type.Symbols![i] is { Length: > 0 } symbol ? symbol : "any");
            throw Fail($"{field}.shape", "wrong_shape", $"The model's input {name} takes [{string.Join(", ", wanted)}], not [{string.Join(", ", shape)}].");
        }
    }

    // Flat or nested alike, in row-major order.
    static void ReadList(ref Utf8JsonReader data, TensorData tensor, long total, string field)
    {
        var depth = data.CurrentDepth;
        while (data.Read() && !(data.TokenType == JsonTokenType.EndArray && data.CurrentDepth == depth))
        {
            if (data.TokenType is JsonTokenType.StartArray or JsonTokenType.EndArray)
                continue;
            if (tensor.Count >= total)
                throw Fail($"{field}.data", "wrong_length", $"Has more than the {total} values of its shape.");
            ReadElement(ref data, tensor, field);
        }
    }

    static void ReadElement(ref Utf8JsonReader data, TensorData tensor, string field)
    {
        tensor.Extend(1);
        if (!tensor.TrySet(tensor.Count - 1, ref data))
            throw Fail($"{field}.data[{tensor.Count - 1}]", "wrong_type", $"It cannot be a {TensorNames.Of(tensor.Type)}.");
    }

    static List<long> ReadShape(ref Utf8JsonReader reader, string field)
    {
        var shape = new List<long>();
        Expect(ref reader, JsonTokenType.StartArray, field, "Must be a list of sizes.");
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt32(out var size) || size < 0 || shape.Count >= MostDimensions)
                throw Fail(field, "wrong_type", $"Must be a list of at most {MostDimensions} whole numbers, none below 0.");
            shape.Add(size);
        }
        return shape;
    }

    readonly ScoringRequest End(OnlineScoringOptions options)
    {
        foreach (var port in model.Session.Onnx.Inputs)
            if ((port.Type.Kind != OnnxKind.Optional || model.TakesOptionalsUnseen) && inputs.All(input => input.Name != port.Name))
                throw Fail("inputs", "input_missing", $"The input {port.Name}, {port.Type}, is missing.");
        var rows = model.Alone is null && outputs.Count == 0 && inputs.Count == model.Session.Onnx.Inputs.Count ? (int)inputs[0].Shape[0] : 0;
        if (inputs.Any(input => input.Tensor is null || input.Shape.Length == 0 || input.Shape[0] != rows))
            rows = 0;
        if (rows > options.MaxRows)
            throw new FailureException("body_too_large", $"There are more than {options.MaxRows} rows; send fewer at once, or submit a batch job.");
        return new ScoringRequest(BodyForm.Tensors, inputs, rows, outputs, id);
    }

    static void Expect(ref Utf8JsonReader reader, JsonTokenType type, string field, string message)
    {
        if (!reader.Read() || reader.TokenType != type)
            throw Fail(field, "wrong_type", message);
    }

    static FailureException Fail(string field, string code, string message) => new(code, $"{field}: {message}", new FieldFailure(field, code, message));
}

/// <summary>The protocol's names of the element types.</summary>
static class TensorNames
{
    internal const string Sequence = "SEQUENCE";
    internal const string Map = "MAP";

    /// <summary>Null for a type that has none.</summary>
    internal static string? Of(OnnxElementType type) => type switch
    {
        OnnxElementType.Float => "FP32",
        OnnxElementType.Double => "FP64",
        OnnxElementType.Float16 => "FP16",
        OnnxElementType.BFloat16 => "BF16",
        OnnxElementType.Int64 => "INT64",
        OnnxElementType.Int32 => "INT32",
        OnnxElementType.Int16 => "INT16",
        OnnxElementType.Int8 => "INT8",
        OnnxElementType.UInt64 => "UINT64",
        OnnxElementType.UInt32 => "UINT32",
        OnnxElementType.UInt16 => "UINT16",
        OnnxElementType.UInt8 => "UINT8",
        OnnxElementType.Bool => "BOOL",
        OnnxElementType.String => "BYTES",
        _ => null,
    };
}
