using System.Text.Json.Nodes;
using Api.Security.ApiKeys;
using Contracts;
using Contracts.OnlineScoring;

namespace Api.OnlineScoring;

/// <summary>
/// OpenAPI 3.1 of one endpoint: the rows and tensors that its model takes and gives, by the signature read at registration. With an example
/// of each form that can be sent as it stands.
/// </summary>
static class EndpointDescription
{
    const string Rows = "Rows";
    const string Table = "Table";
    const string Tensors = "Tensors";

    /// <param name="name">As the caller named the endpoint: the path is to be called so.</param>
    public static JsonObject Of(string name, string version, ModelSignature signature)
    {
        var columns = signature.NotTabular is null ? ColumnsOf(signature) : null;
        var (schemas, requests, answers, examples) = (new JsonObject(), new JsonArray(), new JsonArray(), new JsonObject());
        if (columns is not null)
        {
            Add(Rows, RowsRequest(columns), RowsAnswer(signature), RowsExample(columns));
            Add(Table, TableRequest(columns), TableAnswer(signature), TableExample(columns));
        }
        Add(Tensors, TensorsRequest(signature), TensorsAnswer(signature), TensorsExample(signature));
        schemas["Problem"] = Object(new() { ["code"] = Text(), ["title"] = Text(), ["status"] = Kind("integer"), ["detail"] = Text() }, "code", "status");
        return new JsonObject
        {
            ["openapi"] = "3.1.0",
            ["info"] = new JsonObject
            {
                ["title"] = name,
                ["version"] = version,
                ["description"] = signature.NotTabular is { } reason ? $"Takes tensors only: {reason.Message}" : "Takes rows, a table or tensors, and answers in the same form.",
            },
            ["paths"] = new JsonObject { [$"/api/v1/endpoints/{name}/score"] = new JsonObject { ["post"] = Operation(requests, answers, examples) } },
            ["components"] = new JsonObject
            {
                ["schemas"] = schemas,
                ["securitySchemes"] = new JsonObject
                {
                    ["key"] = new JsonObject { ["type"] = "apiKey", ["in"] = "header", ["name"] = ApiKeyText.Header },
                    ["bearer"] = new JsonObject { ["type"] = "http", ["scheme"] = "bearer" },
                },
            },
            // On a developer's machine nobody need say who they are.
            ["security"] = new JsonArray(new JsonObject(), new JsonObject { ["key"] = new JsonArray() }, new JsonObject { ["bearer"] = new JsonArray() }),
        };

        void Add(string form, JsonObject request, JsonObject answer, JsonObject? example)
        {
            (schemas[$"{form}Request"], schemas[$"{form}Answer"]) = (request, answer);
            requests.Add(Reference($"{form}Request"));
            answers.Add(Reference($"{form}Answer"));
            if (example is not null)
                examples[form] = new JsonObject { ["value"] = example };
        }
    }

    static JsonObject Operation(JsonArray requests, JsonArray answers, JsonObject examples)
    {
        var responses = new JsonObject { ["200"] = Content("application/json", new JsonObject { ["oneOf"] = answers }, "Scored.") };
        foreach (var (status, meaning) in new[] { ("400", "Not to be understood."), ("404", "No such adapter."), ("422", "Values that the model does not take; each is named."), ("429", "Too many requests; see Retry-After."), ("503", "No worker can be reached; see Retry-After."), ("504", "The time was up.") })
            responses[status] = Content("application/problem+json", Reference("Problem"), meaning);
        var body = Content("application/json", new JsonObject { ["oneOf"] = requests });
        body["content"]!["application/json"]!["examples"] = examples;
        body["required"] = true;
        return new JsonObject
        {
            ["operationId"] = "score",
            ["summary"] = "Score and wait for the result",
            ["parameters"] = new JsonArray(
                Parameter("adapter", "query", Text(), "Name of a LoRA adapter of this version."),
                Parameter(ScoringHeaders.Timeout, "header", new JsonObject { ["type"] = "integer", ["minimum"] = 1, ["maximum"] = ScoringTimeout.LongestMilliseconds }, "Milliseconds after which the caller no longer waits.")),
            ["requestBody"] = body,
            ["responses"] = responses,
        };
    }

    // As the worker names them: one column for each feature, or for each input, with all its values as a list where there are several.
    static List<Column>? ColumnsOf(ModelSignature signature)
    {
        var fed = signature.Inputs.Where(input => !input.Optional).ToList();
        if (fed is [var only] && signature.Features is { Count: > 0 } features && (Width(only) is 0 || Width(only) == features.Count))
            return [.. features.Select(feature => new Column(feature, ElementOf(only.Type), 1, signature.AllowMissing))];
        var columns = fed.ConvertAll(input => new Column(input.Name, ElementOf(input.Type), Width(input), signature.AllowMissing));
        return columns.TrueForAll(column => column.Width > 0) ? columns : null;
    }

    /// <returns>Values a row; 0 where that is open.</returns>
    static long Width(ModelTensor input) => input.Shape is null || input.Shape.Skip(1).Any(size => size <= 0) ? 0 : input.Shape.Skip(1).Aggregate(1L, (product, size) => product * size);

    static JsonObject RowsRequest(List<Column> columns) =>
        Object(new() { ["data"] = new JsonObject { ["type"] = "array", ["minItems"] = 1, ["items"] = Row(columns) } }, "data");

    static JsonObject Row(List<Column> columns)
    {
        var properties = new JsonObject();
        foreach (var column in columns)
            properties[column.Name] = column.Schema();
        return Object(properties, [.. columns.Select(column => column.Name)]);
    }

    static JsonObject RowsAnswer(ModelSignature signature)
    {
        var row = new JsonObject();
        foreach (var result in signature.Columns)
            row[result.Name] = ResultSchema(result);
        return Object(new() { ["model"] = Text(), ["version"] = Text(), ["predictions"] = List(Object(row, [.. signature.Columns.Select(result => result.Name)])) },
            "model", "version", "predictions");
    }

    static JsonObject TableRequest(List<Column> columns) => Object(
        new()
        {
            ["input_data"] = Object(
                new() { ["columns"] = List(Text()), ["index"] = List(new JsonObject()), ["data"] = List(new JsonObject { ["type"] = "array", ["minItems"] = columns.Count }) }, "data"),
        },
        "input_data");

    static JsonObject TableAnswer(ModelSignature signature) => Object(
        new()
        {
            ["model"] = Text(),
            ["version"] = Text(),
            ["output_data"] = Object(
                new()
                {
                    ["columns"] = new JsonObject { ["const"] = new JsonArray([.. signature.Columns.Select(result => JsonValue.Create(result.Name))]) },
                    ["index"] = List(new JsonObject()),
                    ["data"] = List(new JsonObject { ["type"] = "array", ["prefixItems"] = new JsonArray([.. signature.Columns.Select(ResultSchema)]) }),
                },
                "columns", "data"),
        },
        "model", "version", "output_data");

    static JsonObject TensorsRequest(ModelSignature signature) => Object(
        new()
        {
            ["id"] = Text(),
            ["inputs"] = Items(signature.Inputs, signature.Inputs.Count(input => !input.Optional)),
            ["outputs"] = List(Object(new() { ["name"] = new JsonObject { ["enum"] = new JsonArray([.. signature.Outputs.Select(output => JsonValue.Create(output.Name))]) } }, "name")),
        },
        "inputs");

    static JsonObject TensorsAnswer(ModelSignature signature) =>
        Object(new() { ["model_name"] = Text(), ["model_version"] = Text(), ["id"] = Text(), ["outputs"] = Items(signature.Outputs, 1) }, "model_name", "model_version", "outputs");

    static JsonObject Items(IReadOnlyList<ModelTensor> tensors, int least) => new()
    {
        ["type"] = "array",
        ["minItems"] = least,
        ["items"] = new JsonObject { ["oneOf"] = new JsonArray([.. tensors.Select(TensorSchema)]) },
    };

    static JsonObject TensorSchema(ModelTensor tensor)
    {
        var name = new JsonObject { ["const"] = tensor.Name };
        if (DatatypeOf(tensor.Type) is not { } datatype)
            // Sequences and maps: what they hold is not described further.
            return Object(
                new() { ["name"] = name, ["datatype"] = new JsonObject { ["enum"] = new JsonArray("SEQUENCE", "MAP") }, ["data"] = new JsonObject(), ["keys"] = new JsonObject(), ["values"] = new JsonObject() },
                "name", "datatype");
        var element = ElementOf(tensor.Type);
        var data = new JsonObject { ["type"] = "array" };
        if (element.Kind != ElementKind.Text)
            data["items"] = new JsonObject { ["anyOf"] = new JsonArray(element.Schema(), new JsonObject { ["type"] = "array" }) };
        return Object(new() { ["name"] = name, ["datatype"] = new JsonObject { ["const"] = datatype }, ["shape"] = ShapeSchema(tensor.Shape), ["data"] = data }, "name", "datatype", "shape", "data");
    }

    static JsonObject ShapeSchema(IReadOnlyList<long>? shape)
    {
        var any = new JsonObject { ["type"] = "integer", ["minimum"] = 0 };
        return shape is null ? List(any) : new JsonObject
        {
            ["type"] = "array",
            ["prefixItems"] = new JsonArray([.. shape.Select(size => size > 0 ? new JsonObject { ["const"] = size } : any.DeepClone())]),
            ["minItems"] = shape.Count,
            ["maxItems"] = shape.Count,
        };
    }

    static JsonObject RowsExample(List<Column> columns)
    {
        var row = new JsonObject();
        foreach (var column in columns)
            row[column.Name] = column.Example();
        return new JsonObject { ["data"] = new JsonArray(row) };
    }

    static JsonObject TableExample(List<Column> columns) => new()
    {
        ["input_data"] = new JsonObject
        {
            ["columns"] = new JsonArray([.. columns.Select(column => JsonValue.Create(column.Name))]),
            ["index"] = new JsonArray("a"),
            ["data"] = new JsonArray(new JsonArray([.. columns.Select(column => column.Example())])),
        },
    };

    // One row. What has other open sizes, or too many values, gets no example: a size made up is mostly a wrong one.
    static JsonObject? TensorsExample(ModelSignature signature)
    {
        const long Most = 4096;
        var inputs = new JsonArray();
        foreach (var input in signature.Inputs.Where(input => !input.Optional))
        {
            if (input.Shape is not { } shape || Width(input) == 0 || DatatypeOf(input.Type) is not { } datatype)
                return null;
            var sizes = shape.Select(size => Math.Max(size, 1)).ToArray();
            var count = sizes.Aggregate(1L, (product, size) => Math.Min(product * Math.Min(size, Most + 1), Most + 1));
            if (count > Most)
                return null;
            var element = ElementOf(input.Type);
            inputs.Add(new JsonObject
            {
                ["name"] = input.Name,
                ["datatype"] = datatype,
                ["shape"] = new JsonArray([.. sizes.Select(size => JsonValue.Create(size))]),
                ["data"] = new JsonArray([.. Enumerable.Range(0, (int)count).Select(_ => element.Example())]),
            });
        }
        return new JsonObject { ["inputs"] = inputs };
    }

    static JsonObject ResultSchema(OutputColumn result) => (result.Type switch
    {
        "FLOAT" or "DOUBLE" => new Element(ElementKind.Real),
        "BOOLEAN" => new Element(ElementKind.Truth),
        "VARCHAR" => new Element(ElementKind.Text),
        _ => new Element(ElementKind.Whole),
    }).Schema();

    static Element ElementOf(string type) => new(DatatypeOf(type) switch
    {
        "BOOL" => ElementKind.Truth,
        "BYTES" => ElementKind.Text,
        { } datatype when datatype.Contains("INT", StringComparison.Ordinal) => ElementKind.Whole,
        _ => ElementKind.Real,
    });

    /// <returns>The Open Inference Protocol's name; null for what is no tensor of a type that it knows.</returns>
    static string? DatatypeOf(string type) => type switch
    {
        "tensor(float)" => "FP32",
        "tensor(double)" => "FP64",
        "tensor(float16)" => "FP16",
        "tensor(bfloat16)" => "BF16",
        "tensor(int64)" => "INT64",
        "tensor(int32)" => "INT32",
        "tensor(int16)" => "INT16",
        "tensor(int8)" => "INT8",
        "tensor(uint64)" => "UINT64",
        "tensor(uint32)" => "UINT32",
        "tensor(uint16)" => "UINT16",
        "tensor(uint8)" => "UINT8",
        "tensor(bool)" => "BOOL",
        "tensor(string)" => "BYTES",
        _ => null,
    };

    static JsonObject Parameter(string name, string place, JsonObject schema, string description) =>
        new() { ["name"] = name, ["in"] = place, ["required"] = false, ["description"] = description, ["schema"] = schema };

    static JsonObject Content(string type, JsonObject schema, string? description = null)
    {
        var content = new JsonObject { ["content"] = new JsonObject { [type] = new JsonObject { ["schema"] = schema } } };
        if (description is not null)
            content["description"] = description;
        return content;
    }

    static JsonObject Object(JsonObject properties, params string[] required)
    {
        var schema = Kind("object");
        schema["properties"] = properties;
        schema["required"] = new JsonArray([.. required.Select(name => JsonValue.Create(name))]);
        return schema;
    }

    static JsonObject List(JsonObject items) => new() { ["type"] = "array", ["items"] = items };

    static JsonObject Text() => Kind("string");

    static JsonObject Kind(string type) => new() { ["type"] = type };

    static JsonObject Reference(string schema) => new() { ["$ref"] = $"#/components/schemas/{schema}" };

    enum ElementKind
    {
        Real,
        Whole,
        Truth,
        Text,
    }

    readonly record struct Element(ElementKind Kind)
    {
        internal JsonObject Schema() => Kind switch
        {
            ElementKind.Whole => EndpointDescription.Kind("integer"),
            ElementKind.Truth => EndpointDescription.Kind("boolean"),
            ElementKind.Text => Text(),
            // What JSON has no number for.
            _ => new JsonObject { ["anyOf"] = new JsonArray(EndpointDescription.Kind("number"), new JsonObject { ["enum"] = new JsonArray("NaN", "Infinity", "-Infinity") }) },
        };

        internal JsonValue Example() => Kind switch
        {
            ElementKind.Whole => JsonValue.Create(0),
            ElementKind.Truth => JsonValue.Create(false),
            ElementKind.Text => JsonValue.Create(""),
            _ => JsonValue.Create(0.5),
        };
    }

    /// <param name="Width">Values a row.</param>
    sealed record Column(string Name, Element Element, long Width, bool AllowMissing)
    {
        internal JsonObject Schema()
        {
            var value = AllowMissing && Element.Kind == ElementKind.Real
                ? new JsonObject { ["anyOf"] = new JsonArray(Element.Schema(), EndpointDescription.Kind("null")) }
                : Element.Schema();
            return Width == 1 ? value : new JsonObject { ["type"] = "array", ["items"] = value, ["minItems"] = Width, ["maxItems"] = Width };
        }

        internal JsonNode Example() => Width == 1 ? Element.Example() : new JsonArray([.. Enumerable.Range(0, (int)Width).Select(_ => Element.Example())]);
    }
}
