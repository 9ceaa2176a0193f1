using System.Text;
using System.Text.Json;
using Contracts;
using GpuWorker.Tests.Inference;

namespace GpuWorker.Tests.OnlineScoring;

/// <summary>What bodies may say, in each form, and what is said of those that may not.</summary>
[Collection("Inference")]
public sealed class BodyTests(InferenceFixture inference) : IDisposable
{
    readonly OnlineBench _bench = new(inference, online => online.MaxRows = 1000);

    // y = x · 2, and x has two named columns.
    readonly ModelRef _named = inference.Add(TestModels.Scale(metadata: new() { ["features"] = """["age","income"]""" }), "named");
    readonly ModelRef _unnamed = inference.Add(TestModels.Scale(), "unnamed");

    public void Dispose() => _bench.Dispose();

    [Theory]
    [InlineData("""{"data":[{"age":1,"income":2},{"income":4,"age":3}]}""")]
    [InlineData("""{"data":[{"id":"a","age":1,"income":2,"more":{"x":[1]}},{"age":3.0,"income":4e0}]}""")]
    [InlineData("""{"data":[{"x":[1,2]},{"age":3,"income":4}]}""")]
    public async Task Rows_by_name(string body)
    {
        var answer = await _bench.ScoreAsync(_named, body);

        answer.GetRawText().ShouldBe($$"""{"model":"named","version":"{{_named.Sha256}}","predictions":[{"y_0":2,"y_1":4},{"y_0":6,"y_1":8}]}""");
    }

    [Theory]
    [InlineData("""{"input_data":{"columns":["income","age","other"],"index":["a",7],"data":[[2,1,null],[4,3,"?"]]}}""")]
    [InlineData("""{"input_data":{"data":[[1,2],[3,4]],"index":["a",7]}}""")]
    [InlineData("""{"input_data":{"data":[[2,1],[4,3]],"index":["a",7],"columns":["income","age"]}}""")]
    public async Task A_table(string body)
    {
        var answer = await _bench.ScoreAsync(_named, body);

        answer.GetProperty("output_data").GetRawText().ShouldBe("""{"columns":["y_0","y_1"],"index":["a",7],"data":[[2,4],[6,8]]}""");
    }

    [Theory]
    [InlineData("""{"id":"7","inputs":[{"name":"x","shape":[2,2],"datatype":"FP32","data":[1,2,3,4]}]}""")]
    [InlineData("""{"inputs":[{"data":[[1,2],[3,4]],"parameters":{"content_type":"np"},"datatype":"FP32","shape":[2,2],"name":"x"}],"parameters":{},"outputs":[{"name":"y"}],"id":"7"}""")]
    public async Task Tensors(string body)
    {
        var answer = await _bench.ScoreAsync(_unnamed, body);

        answer.GetRawText().ShouldBe(
            $$"""{"model_name":"unnamed","model_version":"{{_unnamed.Sha256}}","id":"7","outputs":[{"name":"y","datatype":"FP32","shape":[2,2],"data":[2,4,6,8]}]}""");
    }

    [Fact]
    public async Task A_column_without_a_name_is_a_list_under_its_inputs()
    {
        var answer = await _bench.ScoreAsync(_unnamed, """{"data":[{"x":[1,2]}]}""");

        answer.GetProperty("predictions")[0].GetProperty("y_1").GetDouble().ShouldBe(4);
    }

    [Fact]
    public async Task A_model_that_takes_a_fixed_number_of_rows_scores_any_number()
    {
        var model = inference.Conformance("ort_logreg_iris_zipmap");
        var rows = Enumerable.Range(0, 7).Select(i => $$"""{"float_input":[{{5 + i % 3}},{{i}}]}""").ToArray();

        var together = await _bench.ScoreAsync(model, $$"""{"data":[{{string.Join(',', rows)}}]}""");

        together.GetProperty("predictions").GetArrayLength().ShouldBe(7);
        for (var i = 0; i < rows.Length; i++)
            (await _bench.ScoreAsync(model, $$"""{"data":[{{rows[i]}}]}""")).GetProperty("predictions")[0].GetRawText()
                .ShouldBe(together.GetProperty("predictions")[i].GetRawText());
    }

    [Fact]
    public async Task What_JSON_has_no_number_for_is_a_word()
    {
        var answer = await _bench.ScoreAsync(_named, """{"data":[{"age":"NaN","income":"-Infinity"},{"age":3e38,"income":1}]}""");

        answer.GetProperty("predictions").GetRawText().ShouldBe("""[{"y_0":"NaN","y_1":"-Infinity"},{"y_0":"Infinity","y_1":2}]""");
    }

    [Fact]
    public async Task A_missing_value_is_NaN_where_the_model_takes_such()
    {
        var model = inference.Add(TestModels.Scale(metadata: new() { ["features"] = """["age","income"]""", ["missing"] = "nan" }));

        (await _bench.ScoreAsync(model, """{"data":[{"age":null,"income":1}]}""")).GetProperty("predictions")[0].GetProperty("y_0").GetString().ShouldBe("NaN");
    }

    [Theory]
    [InlineData("""{"data":[{"age":1,"income":2},{"age":"old"}]}""", "wrong_type", "data[1].age", "data[1].income")]
    [InlineData("""{"data":[{"age":1}]}""", "column_missing", "data[0].income")]
    [InlineData("""{"data":[{"age":null,"income":2}]}""", "value_missing", "data[0].age")]
    [InlineData("""{"data":[{"age":1e39,"income":2}]}""", "wrong_type", "data[0].age")]
    [InlineData("""{"data":[{"age":1,"age":2,"income":2}]}""", "duplicate_field", "data[0].age")]
    [InlineData("""{"data":[{"x":[1,2,3]}]}""", "wrong_length", "data[0].x")]
    [InlineData("""{"data":[7]}""", "wrong_type", "data[0]")]
    [InlineData("""{"data":{}}""", "wrong_type", "data")]
    [InlineData("""{"data":[]}""", "wrong_type", "data")]
    [InlineData("""{"data":[],"surplus":1}""", "unknown_field", "surplus")]
    [InlineData("""{"input_data":{"columns":["age"],"data":[[1]]}}""", "column_missing", "input_data.data[0][income]")]
    [InlineData("""{"input_data":{"columns":["age","income"],"data":[[1]]}}""", "wrong_length", "input_data.data[0]")]
    [InlineData("""{"input_data":{"columns":["age","income"],"index":[1],"data":[[1,2],[3,4]]}}""", "wrong_type", "input_data.index")]
    [InlineData("""{"input_data":{"columns":["age","income"]}}""", "field_missing", "input_data.data")]
    [InlineData("""{"inputs":[{"name":"z","shape":[1,2],"datatype":"FP32","data":[1,2]}]}""", "input_unknown", "inputs[0].name")]
    [InlineData("""{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP64","data":[1,2]}]}""", "wrong_type", "inputs[0].datatype")]
    [InlineData("""{"inputs":[{"name":"x","shape":[1,3],"datatype":"FP32","data":[1,2,3]}]}""", "wrong_shape", "inputs[0].shape")]
    [InlineData("""{"inputs":[{"name":"x","shape":[2,2],"datatype":"FP32","data":[1,2,3]}]}""", "wrong_length", "inputs[0].data")]
    [InlineData("""{"inputs":[{"name":"x","shape":[1000000000,2],"datatype":"FP32","data":[1]}]}""", "wrong_length", "inputs[0].data")]
    [InlineData("""{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2,3]}]}""", "wrong_length", "inputs[0].data")]
    [InlineData("""{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,"2"]}]}""", "wrong_type", "inputs[0].data[1]")]
    [InlineData("""{"inputs":[{"name":"x","shape":[-1,2],"datatype":"FP32","data":[]}]}""", "wrong_type", "inputs[0].shape")]
    [InlineData("""{"inputs":[]}""", "input_missing", "inputs")]
    [InlineData("""{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}],"outputs":[{"name":"z"}]}""", "output_unknown", "outputs[0].name")]
    public async Task Bad_fields_are_named(string body, string code, params string[] fields)
    {
        var refused = (await Should.ThrowAsync<FailureException>(_bench.ScoreAsync(_named, body))).Failure;

        refused.Fields.Select(field => field.Field).ShouldBe(fields);
        refused.Fields[0].Code.ShouldBe(code);
    }

    [Theory]
    [InlineData("", "invalid_request|malformed_json")]
    [InlineData("[]", "invalid_request")]
    [InlineData("{}", "invalid_request")]
    [InlineData("""{"data":[{"age":1,""", "malformed_json")]
    [InlineData("""{"data":[{"age":NaN,"income":1}]}""", "malformed_json")]
    [InlineData("{\"data\":[{\"age\":1,\"income\":2}]}}", "malformed_json")]
    public async Task What_is_no_body_is_refused(string body, string codes) =>
        codes.Split('|').ShouldContain((await Should.ThrowAsync<FailureException>(_bench.ScoreAsync(_named, body))).Failure.Code);

    [Fact]
    public async Task Deep_JSON_is_refused()
    {
        var body = $$"""{"data":{{new string('[', 10_000)}}{{new string(']', 10_000)}}}""";

        (await Should.ThrowAsync<FailureException>(_bench.ScoreAsync(_named, body))).Failure.Code.ShouldBe("json_too_deep");
    }

    [Fact]
    public async Task More_rows_than_allowed_are_refused()
    {
        var body = $$"""{"data":[{{string.Join(',', Enumerable.Repeat("""{"age":1,"income":2}""", 1001))}}]}""";

        (await Should.ThrowAsync<FailureException>(_bench.ScoreAsync(_named, body))).Failure.Code.ShouldBe("body_too_large");
    }

    [Fact]
    public async Task A_model_that_takes_no_rows_says_why_and_takes_tensors()
    {
        var model = inference.Conformance("light_squeezenet");

        var refused = (await Should.ThrowAsync<FailureException>(_bench.ScoreAsync(model, """{"data":[{"data_0":[1]}]}"""))).Failure;

        refused.Code.ShouldBe("model_needs_tensors");
        refused.Message.ShouldContain("data_0");
    }

    /// <summary>Whatever comes, it is answered or refused by name, and the model still scores.</summary>
    [Fact]
    public async Task Mutilated_bodies_are_answered_or_refused()
    {
        var random = new Random(7);
        string[] seeds =
        [
            """{"data":[{"age":1,"income":2},{"income":4,"age":3}]}""",
            """{"input_data":{"columns":["income","age","other"],"index":["a",7],"data":[[2,1,null],[4,3,"?"]]}}""",
            """{"id":"7","inputs":[{"name":"x","shape":[2,2],"datatype":"FP32","data":[[1,2],[3,4]]}],"outputs":[{"name":"y"}]}""",
        ];
        var (answered, refused) = (0, 0);
        for (var i = 0; i < 20_000; i++)
        {
            var body = Encoding.UTF8.GetBytes(seeds[random.Next(seeds.Length)]).ToList();
            for (var change = random.Next(1, 4); change > 0; change--)
            {
                var at = random.Next(body.Count);
                switch (random.Next(4))
                {
                    case 0:
                        body[at] = (byte)random.Next(256);
                        break;
                    case 1:
                        body.RemoveRange(at, Math.Min(random.Next(8), body.Count - at));
                        break;
                    case 2:
                        body.InsertRange(at, body.Slice(at, Math.Min(random.Next(12), body.Count - at)));
                        break;
                    default:
                        body.Insert(at, (byte)"{}[]\",:0-eE.nt"[random.Next(14)]);
                        break;
                }
            }

            try
            {
                await _bench.ScoreAsync(_named, [.. body]);
                answered++;
            }
            catch (FailureException)
            {
                refused++;
            }
        }

        answered.ShouldBeGreaterThan(100);
        refused.ShouldBeGreaterThan(1000);
        await Rows_by_name("""{"data":[{"age":1,"income":2},{"income":4,"age":3}]}""");
    }
}
