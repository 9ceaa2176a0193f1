using System.Net;
using System.Text;

namespace Api.Tests;

[Collection(nameof(ApiHost))]
[Trait("Category", "Server")]
public sealed class BadJsonTests(ApiHost host)
{
    [Theory]
    [InlineData("{")]
    [InlineData("{\"model\":}")]
    [InlineData("model=risk")]
    [InlineData("{\"model\":\"risk\"} trailing")]
    [InlineData("[1]")]
    [InlineData("\"text\"")]
    [InlineData("null")]
    [InlineData("{\"\\ud800\":1}")]
    public async Task Refuses_what_is_not_a_JSON_object(string body) =>
        await (await SendAsync(body)).ProblemAsync(400, "malformed_json");

    [Fact]
    public async Task Refuses_a_body_that_is_not_UTF8() =>
        await (await SendAsync("{\"model\":\"\u00fc\"}", Encoding.Latin1)).ProblemAsync(400, "malformed_json");

    [Fact]
    public async Task Names_every_unknown_repeated_and_mistyped_field_at_once()
    {
        var response = await SendAsync(
            """
            {"model": 7, "Model": "risk", "batchSize": "many", "batchSize": 1, "input": {"uri": [], "path": "x"}, "keyColumns": ["a", 5, null],
             "features": "age", "maxErrorRate": true, "priority": 1.5, "deadlineSeconds": 99999999999, "output": "here", "maxErrors": "\u0000"}
            """);

        var errors = await response.ProblemAsync(400, "invalid_request");
        errors.ShouldBe(new Dictionary<string, string>
        {
            ["model"] = "wrong_type",
            ["Model"] = "unknown_field",
            ["batchSize"] = "wrong_type",
            ["input.uri"] = "wrong_type",
            ["input.path"] = "unknown_field",
            ["keyColumns[1]"] = "wrong_type",
            ["keyColumns[2]"] = "wrong_type",
            ["features"] = "wrong_type",
            ["maxErrorRate"] = "wrong_type",
            ["priority"] = "wrong_type",
            ["deadlineSeconds"] = "wrong_type",
            ["output"] = "wrong_type",
            ["maxErrors"] = "wrong_type",
        }, ignoreOrder: true);
    }

    [Fact]
    public async Task Refuses_a_NUL_in_a_text() =>
        (await (await SendAsync("{\"model\":\"a\\u0000b\",\"input\":{\"uri\":\"file:///x.csv\"}}")).ProblemAsync(400, "invalid_request"))["model"].ShouldBe("invalid_text");

    [Fact]
    public async Task Refuses_half_a_character() =>
        (await (await SendAsync("{\"model\":\"\\ud800\",\"input\":{\"uri\":\"file:///x.csv\"}}")).ProblemAsync(400, "invalid_request"))["model"].ShouldBe("wrong_type");

    [Fact]
    public async Task Names_every_missing_field_of_an_empty_body()
    {
        var errors = await (await SendAsync("")).ProblemAsync(400, "field_missing");

        errors.Keys.ShouldBe(["model", "input.uri"], ignoreOrder: true);
    }

    [Fact]
    public async Task Refuses_a_body_of_more_than_a_megabyte()
    {
        var large = "{\"model\":\"" + new string('x', 1 << 20) + "\"}";

        await (await SendAsync(large)).ProblemAsync(413, "body_too_large");
        using var chunked = new HttpRequestMessage(HttpMethod.Post, "/api/v1/batch-inference/jobs")
        {
            Content = new StreamContent(new MemoryStream(Encoding.UTF8.GetBytes(large))) { Headers = { ContentType = new("application/json") } },
        };
        chunked.Headers.TransferEncodingChunked = true;
        await (await host.Client.SendAsync(chunked)).ProblemAsync(413, "body_too_large");
    }

    [Theory]
    [InlineData(64, "unknown_field")]
    [InlineData(65, "json_too_deep")]
    [InlineData(100_000, "json_too_deep")]
    public async Task Refuses_a_body_nested_deeper_than_64_levels(int depth, string code)
    {
        var nested = "{\"deep\":" + new string('[', depth - 1) + new string(']', depth - 1) + ",\"model\":\"risk\",\"input\":{\"uri\":\"file:///x.csv\"}}";

        var response = await SendAsync(nested);

        if (code == "json_too_deep")
            await response.ProblemAsync(400, code);
        else
            (await response.ProblemAsync(400, "invalid_request"))["deep"].ShouldBe(code);
    }

    [Fact]
    public async Task Refuses_another_content_type()
    {
        using var form = new FormUrlEncodedContent([new("model", "risk")]);

        await (await host.Client.PostAsync("/api/v1/batch-inference/jobs", form)).ProblemAsync(415, "unsupported_media_type");
    }

    [Fact]
    public async Task Answers_unknown_paths_and_methods_with_problems()
    {
        await (await host.Client.GetAsync("/api/v1/nothing")).ProblemAsync(404, "not_found");
        await (await host.Client.GetAsync("/api/v1/batch-inference/jobs/no-guid")).ProblemAsync(404, "not_found");
        await (await host.Client.DeleteAsync("/api/v1/batch-inference/jobs")).ProblemAsync(405, "method_not_allowed");
        await (await host.Client.GetAsync($"/api/v1/batch-inference/jobs/{Guid.Empty}")).ProblemAsync(404, "job_not_found");
        await (await host.Client.GetAsync($"/api/v1/batch-inference/jobs/{Guid.Empty}/events")).ProblemAsync(404, "job_not_found");
        await (await host.Client.GetAsync($"/api/v1/batch-inference/jobs/{Guid.Empty}/shards")).ProblemAsync(404, "job_not_found");
        await (await host.Client.GetAsync($"/api/v1/batch-inference/jobs/{Guid.Empty}/results")).ProblemAsync(404, "job_not_found");
    }

    [Theory]
    [InlineData("limit=0")]
    [InlineData("limit=many")]
    [InlineData("status=Lost")]
    [InlineData("after=%C3%BC")]
    [InlineData("after=AAAA")]
    public async Task Refuses_query_values_that_make_no_sense(string query) =>
        (await (await host.Client.GetAsync($"/api/v1/batch-inference/jobs?{query}")).ProblemAsync(400, "invalid_request")).Keys.ShouldBe([query.Split('=')[0]]);

    [Theory]
    [InlineData("pause")]
    [InlineData("resume")]
    [InlineData("repair")]
    public async Task Has_no_routes_that_do_nothing_yet(string verb)
    {
        (await host.PostAsync($"/api/v1/batch-inference/jobs/{Guid.Empty}/{verb}", new { })).StatusCode.ShouldBe(HttpStatusCode.NotFound);
        (await host.PostAsync("/api/v1/batch-inference/estimate", new { })).StatusCode.ShouldBe(HttpStatusCode.NotFound);
    }

    Task<HttpResponseMessage> SendAsync(string body, Encoding? encoding = null) =>
        host.Client.PostAsync("/api/v1/batch-inference/jobs", new StringContent(body, encoding ?? Encoding.UTF8, "application/json"));
}
