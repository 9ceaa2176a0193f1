using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Support;

namespace EndToEnd;

/// <summary>Each endpoint says for itself what may be sent to it: what it gives as examples is scored, and answered as described.</summary>
[Trait("Category", "Server"), Collection(PlatformGroup.Name)]
public sealed class EndpointDescriptionTests(PlatformFixture platform)
{
    [Theory]
    [InlineData("credit-risk-model", "Rows", "Table", "Tensors")]
    [InlineData("customer-segmentation-model", "Rows", "Table", "Tensors")]
    [InlineData("fraud-detection-model", "Rows", "Table", "Tensors")]
    public Task A_sample_models_examples_are_scored(string model, params string[] forms) => ScoreExamplesAsync(model, forms);

    [Theory]
    [InlineData("winml_iris_pytorch", "Rows", "Table", "Tensors")]
    [InlineData("ort_logreg_iris_zipmap", "Rows", "Table", "Tensors")]
    [InlineData("onnx_ai_onnx_ml_label_encoder_string_int", "Rows", "Table", "Tensors")]
    [InlineData("ort_types_bool", "Rows", "Table", "Tensors")]
    [InlineData("ort_types_uint8", "Rows", "Table", "Tensors")]
    [InlineData("mnist_cntk_3sets", "Rows", "Table", "Tensors")]
    [InlineData("silero_vad")]
    [InlineData("light_squeezenet")]
    public async Task So_are_those_of_models_of_every_kind(string model, params string[] forms)
    {
        var name = model.Replace('_', '-');
        using var form = new MultipartFormDataContent
        {
            { new StringContent(name), "name" },
            { new ByteArrayContent(await File.ReadAllBytesAsync(Path.Combine(PlatformFixture.Samples, "..", "tests", "assets", "conformance", model, "model.onnx"))), "file", "model.onnx" },
        };
        using var registered = await platform.Http.PostAsync("/api/v1/models", form);
        registered.IsSuccessStatusCode.ShouldBeTrue(await registered.Content.ReadAsStringAsync());

        await ScoreExamplesAsync(name, forms);
    }

    [Fact]
    public async Task What_there_is_not_has_no_description() =>
        (await platform.Http.GetAsync("/api/v1/endpoints/nothing/openapi.json")).StatusCode.ShouldBe(HttpStatusCode.NotFound);

    async Task ScoreExamplesAsync(string name, string[] forms)
    {
        JsonElement document = default;
        await Eventually.TrueAsync(
            async () =>
            {
                using var answer = await platform.Http.GetAsync($"/api/v1/endpoints/{name}/openapi.json");
                document = await answer.Content.ReadFromJsonAsync<JsonElement>();
                return answer.IsSuccessStatusCode;
            },
            $"{name} to be registered");
        document.GetProperty("openapi").GetString().ShouldBe("3.1.0");
        var path = document.GetProperty("paths").EnumerateObject().Single();
        var examples = path.Value.GetProperty("post").GetProperty("requestBody").GetProperty("content").GetProperty("application/json").GetProperty("examples");

        examples.EnumerateObject().Select(example => example.Name).ShouldBe(forms);
        foreach (var example in examples.EnumerateObject())
        {
            var request = example.Value.GetProperty("value");
            Mismatch(document, Schema(document, $"{example.Name}Request"), request).ShouldBeNull();
            using var response = await platform.Http.PostAsJsonAsync(path.Name, request);
            var answer = await response.Content.ReadFromJsonAsync<JsonElement>();
            response.StatusCode.ShouldBe(HttpStatusCode.OK, $"{request}\n{answer}");
            Mismatch(document, Schema(document, $"{example.Name}Answer"), answer).ShouldBeNull();
        }
    }

    static JsonElement Schema(JsonElement document, string name) => document.GetProperty("components").GetProperty("schemas").GetProperty(name);

    /// <summary>As much of JSON Schema as the descriptions use.</summary>
    /// <returns>Why the value is not of the schema, null when it is.</returns>
    static string? Mismatch(JsonElement document, JsonElement schema, JsonElement value, string at = "$")
    {
        foreach (var rule in schema.EnumerateObject())
        {
            var wrong = rule.Name switch
            {
                "type" => Is(rule.Value.GetString()!, value) ? null : $"{at} is no {rule.Value}",
                "const" => JsonElement.DeepEquals(rule.Value, value) ? null : $"{at} is not {rule.Value}",
                "enum" => rule.Value.EnumerateArray().Any(one => JsonElement.DeepEquals(one, value)) ? null : $"{at} is none of {rule.Value}",
                "required" => rule.Value.EnumerateArray().Select(field => field.GetString()!).FirstOrDefault(field => !value.TryGetProperty(field, out _)) is { } lacks ? $"{at} lacks {lacks}" : null,
                "properties" => rule.Value.EnumerateObject().Select(p => value.TryGetProperty(p.Name, out var inner) ? Mismatch(document, p.Value, inner, $"{at}.{p.Name}") : null).FirstOrDefault(m => m is not null)
                    ?? value.EnumerateObject().Where(p => !rule.Value.TryGetProperty(p.Name, out _)).Select(p => $"{at} has {p.Name}, which nobody described").FirstOrDefault(),
                "items" => value.EnumerateArray().Select((inner, i) => Mismatch(document, rule.Value, inner, $"{at}[{i}]")).FirstOrDefault(m => m is not null),
                "prefixItems" => rule.Value.EnumerateArray().Zip(value.EnumerateArray()).Select((pair, i) => Mismatch(document, pair.First, pair.Second, $"{at}[{i}]")).FirstOrDefault(m => m is not null),
                "minItems" => value.GetArrayLength() >= rule.Value.GetInt64() ? null : $"{at} has too few",
                "maxItems" => value.GetArrayLength() <= rule.Value.GetInt64() ? null : $"{at} has too many",
                "minimum" => value.GetDecimal() >= rule.Value.GetDecimal() ? null : $"{at} is too small",
                "oneOf" => rule.Value.EnumerateArray().Count(one => Mismatch(document, one, value, at) is null) == 1 ? null : $"{at} is not of one form: {value}",
                "anyOf" => rule.Value.EnumerateArray().Any(one => Mismatch(document, one, value, at) is null) ? null : $"{at} is of no form: {value}",
                "$ref" => Mismatch(document, Schema(document, rule.Value.GetString()!.Split('/')[^1]), value, at),
                _ => $"{at}: the test knows no rule {rule.Name}",
            };
            if (wrong is not null)
                return wrong;
        }
        return null;
    }

    static bool Is(string type, JsonElement value) => type switch
    {
        "integer" => value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out _),
        "boolean" => value.ValueKind is JsonValueKind.True or JsonValueKind.False,
        _ => type.Equals(value.ValueKind.ToString(), StringComparison.OrdinalIgnoreCase),
    };
}
