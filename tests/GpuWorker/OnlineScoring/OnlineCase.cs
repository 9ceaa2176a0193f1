using System.Text.Json;
using System.Text.Json.Nodes;
using Interop.OnnxRuntime;
using Interop.OnnxRuntime.Tests;

namespace GpuWorker.Tests.OnlineScoring;

/// <summary>A case of the conformance models as a request in the tensors' form, and what its answer must be.</summary>
sealed class OnlineCase(JsonElement json, string folder)
{
    static readonly Dictionary<string, string> Names = new()
    {
        ["float"] = "FP32",
        ["double"] = "FP64",
        ["float16"] = "FP16",
        ["bfloat16"] = "BF16",
        ["string"] = "BYTES",
        ["bool"] = "BOOL",
        ["int8"] = "INT8",
        ["int16"] = "INT16",
        ["int32"] = "INT32",
        ["int64"] = "INT64",
        ["uint8"] = "UINT8",
        ["uint16"] = "UINT16",
        ["uint32"] = "UINT32",
        ["uint64"] = "UINT64",
    };

    /// <summary>File of the LoRA adapter; null for none.</summary>
    public string? Adapter => json.TryGetProperty("adapter", out var file) ? Path.Combine(folder, file.GetString()!) : null;

    public byte[] Body() => JsonSerializer.SerializeToUtf8Bytes(new JsonObject
    {
        ["id"] = "case",
        ["inputs"] = new JsonArray([.. json.GetProperty("inputs").EnumerateArray().Where(input => !IsAbsent(input)).Select(Write)]),
    });

    public void ShouldMatch(JsonElement answer)
    {
        answer.GetProperty("id").GetString().ShouldBe("case");
        var expected = json.GetProperty("expected").EnumerateArray().ToArray();
        var outputs = answer.GetProperty("outputs").EnumerateArray().ToArray();
        for (var i = 0; i < expected.Length; i++)
        {
            var name = expected[i].TryGetProperty("name", out var given) ? given.GetString() : outputs[i].GetProperty("name").GetString();
            Compare(outputs.Single(output => output.GetProperty("name").GetString() == name), expected[i], name!);
        }
    }

    void Compare(JsonElement actual, JsonElement expected, string where)
    {
        if (IsAbsent(expected))
        {
            actual.GetProperty("data").ValueKind.ShouldBe(JsonValueKind.Null, where);
            return;
        }
        switch (expected.GetProperty("type").GetString())
        {
            case "sequence":
                actual.GetProperty("datatype").GetString().ShouldBe("SEQUENCE", where);
                var (items, wanted) = (actual.GetProperty("data").EnumerateArray().ToArray(), expected.GetProperty("items").EnumerateArray().ToArray());
                items.Length.ShouldBe(wanted.Length, where);
                foreach (var (i, item) in items.Index())
                    Compare(item, wanted[i], $"{where}[{i}]");
                break;
            case "map":
                Compare(actual.GetProperty("keys"), expected.GetProperty("keys"), $"{where} keys");
                Compare(actual.GetProperty("values"), expected.GetProperty("values"), $"{where} values");
                break;
            default:
                CompareTensor(actual, expected, where);
                break;
        }
    }

    void CompareTensor(JsonElement actual, JsonElement expected, string where)
    {
        actual.GetProperty("datatype").GetString().ShouldBe(Names[Element(expected)], where);
        actual.GetProperty("shape").EnumerateArray().Select(size => size.GetInt64()).ShouldBe(expected.GetProperty("shape").EnumerateArray().Select(size => size.GetInt64()), where);
        var (relative, absolute) = (json.GetProperty("rtol").GetDouble(), json.GetProperty("atol").GetDouble());
        var (got, wanted) = (actual.GetProperty("data").EnumerateArray().ToArray(), Elements(expected));
        got.Length.ShouldBe(wanted.Length, where);
        for (var i = 0; i < got.Length; i++)
        {
            if (wanted[i] is string text && Element(expected) == "string")
            {
                got[i].GetString().ShouldBe(text, $"{where}[{i}]");
                continue;
            }
            var (a, e) = (Number(got[i]), wanted[i] is Int128 whole ? (double)whole : Convert.ToDouble(wanted[i]));
            // A float is written with as few digits as tell it from its neighbours.
            (a.Equals(e) || (Element(expected) == "float" && ((float)a).Equals((float)e)) || Math.Abs(a - e) <= absolute + relative * Math.Abs(e)).ShouldBeTrue($"{where}[{i}]: {a:R} instead of {e:R}");
        }
    }

    JsonNode Write(JsonElement input)
    {
        var node = new JsonObject();
        if (input.TryGetProperty("name", out var name))
            node["name"] = name.GetString();
        if (input.GetProperty("type").GetString() == "sequence")
        {
            node["datatype"] = "SEQUENCE";
            node["data"] = new JsonArray([.. input.GetProperty("items").EnumerateArray().Select(Write)]);
            return node;
        }
        node["datatype"] = Names[Element(input)];
        node["shape"] = new JsonArray([.. input.GetProperty("shape").EnumerateArray().Select(size => (JsonNode)size.GetInt64())]);
        node["data"] = new JsonArray([.. Elements(input).Select(element => element switch
        {
            string one => JsonValue.Create(one),
            bool one => JsonValue.Create(one),
            Int128 one => JsonNode.Parse(one.ToString()),
            double one when double.IsFinite(one) => JsonValue.Create(one),
            double one => JsonValue.Create(double.IsNaN(one) ? "NaN" : one > 0 ? "Infinity" : "-Infinity"),
            _ => throw new NotSupportedException(),
        })]);
        return node;
    }

    /// <returns>Strings, truth values, whole numbers as Int128, and doubles.</returns>
    object[] Elements(JsonElement tensor)
    {
        var name = Element(tensor);
        if (name == "string")
            return [.. tensor.GetProperty("data").EnumerateArray().Select(one => one.GetString()!)];
        var type = OnnxElementTypes.Parse(name);
        var bytes = tensor.TryGetProperty("data_file", out var file)
            ? File.ReadAllBytes(Path.Combine(folder, file.GetString()!))
            : ElementCodec.Encode(type, [.. tensor.GetProperty("data").EnumerateArray()]);
        var count = bytes.Length * 8 / type.BitsPerElement();
        return [.. Enumerable.Range(0, count).Select(object (i) =>
            type == OnnxElementType.Bool ? bytes[i] != 0 : ElementCodec.IsInteger(type) ? ElementCodec.Whole(type, bytes, i) : ElementCodec.Real(type, bytes, i))];
    }

    static double Number(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.True => 1,
        JsonValueKind.False => 0,
        JsonValueKind.String => value.GetString() switch { "NaN" => double.NaN, "Infinity" => double.PositiveInfinity, _ => double.NegativeInfinity },
        _ => value.GetDouble(),
    };

    static string Element(JsonElement tensor)
    {
        var type = tensor.GetProperty("type").GetString()!;
        return type[(type.LastIndexOf('(') + 1)..type.IndexOf(')', StringComparison.Ordinal)];
    }

    static bool IsAbsent(JsonElement value)
    {
        var type = value.GetProperty("type").GetString()!;
        return type is "none" or "null" || (type.StartsWith("optional", StringComparison.Ordinal)
            && (!value.TryGetProperty("data", out var data) || data.ValueKind == JsonValueKind.Null) && !value.TryGetProperty("items", out _));
    }
}
