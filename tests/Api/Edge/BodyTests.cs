using System.Net.Http.Headers;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Support;

namespace Api.Tests.Edge;

[Collection(nameof(ApiHost)), Trait("Category", "Server")]
public sealed partial class BodyTests(ApiHost host)
{
    const int Mebibyte = 1 << 20;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_byte_more_than_a_mebibyte_is_too_much_on_every_route_that_takes_JSON(bool chunked)
    {
        foreach (var route in Posts())
        {
            using var request = Json(route, [.. "{}"u8, .. Enumerable.Repeat((byte)' ', Mebibyte - 1)]);
            request.Headers.TransferEncodingChunked = chunked;
            using var answer = await host.Client.SendAsync(request);
            ((int)answer.StatusCode).ShouldBe(413, route);
            await answer.ProblemAsync(413, "body_too_large");
        }
    }

    [Fact]
    public async Task Ten_thousand_levels_are_too_deep_on_every_route_that_takes_JSON()
    {
        var deep = Encoding.ASCII.GetBytes("{\"a\":" + new string('[', 10_000) + new string(']', 10_000) + "}");
        foreach (var route in Posts())
        {
            using var request = Json(route, deep);
            using var answer = await host.Client.SendAsync(request);
            ((int)answer.StatusCode).ShouldBe(400, route);
            await answer.ProblemAsync(400, "json_too_deep");
        }
    }

    [Theory]
    [InlineData("/api/v1/models?name=large", "application/octet-stream")]
    [InlineData("/api/v1/models", "application/json")]
    [InlineData("/api/v1/models", "multipart/form-data; boundary=x")]
    [InlineData("/api/v1/batch-inference/jobs", "application/json")]
    [InlineData("/api/v1/operations/api-keys", "application/json")]
    public async Task A_gigabyte_is_refused_before_a_byte_of_it_is_sent(string route, string type)
    {
        await using var caller = await RawConnection.OpenAsync(host.Client.BaseAddress!);
        await caller.SendAsync($"POST {route} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {type}\r\nContent-Length: 1000000000\r\n\r\n");

        var answer = await caller.ReadToEndAsync();

        answer.ShouldStartWith("HTTP/1.1 413 ");
        answer.ShouldContain("body_too_large");
    }

    [Fact]
    public async Task An_upload_that_does_not_say_how_long_it_is_is_cut_off_and_leaves_nothing()
    {
        var before = await host.LeftoversAsync();
        await using var caller = await RawConnection.OpenAsync(host.Client.BaseAddress!);
        await caller.SendAsync("POST /api/v1/models?name=endless HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
        var answer = caller.ReadToEndAsync();

        var sent = 0L;
        while (!answer.IsCompleted && await caller.SendAsync($"10000\r\n{new string('x', 0x10000)}\r\n"))
            (sent += 0x10000).ShouldBeLessThan(1_000_000_000);

        if (await answer is { Length: > 0 } text)
            text.ShouldStartWith("HTTP/1.1 413 ");
        await Eventually.TrueAsync(async () => await host.LeftoversAsync() == before, "the end of the file");
    }

    List<string> Posts()
    {
        var routes = host.Services.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>()
            .Where(e => e.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods.Contains("POST") == true)
            .Select(e => $"/{Parameter().Replace(e.RoutePattern.RawText!.TrimStart('/'), Guid.Empty.ToString())}").Distinct()
            // A file, never JSON, and of a model that is there; and what has limits of its own.
            .Where(route => !route.TrimEnd('/').EndsWith("/adapters", StringComparison.Ordinal) && !route.EndsWith("/score", StringComparison.Ordinal)).ToList();
        routes.Count.ShouldBeGreaterThan(5);
        return routes;
    }

    static HttpRequestMessage Json(string route, byte[] body) =>
        new(HttpMethod.Post, route) { Content = new ByteArrayContent(body) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } } };

    [GeneratedRegex(@"\{[^}]*\}")]
    private static partial Regex Parameter();
}
