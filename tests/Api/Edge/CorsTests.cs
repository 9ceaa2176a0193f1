using System.Net;
using Microsoft.Extensions.Options;

namespace Api.Tests.Edge;

public sealed class CorsTests
{
    const string Portal = "https://portal.example.com";

    [Fact]
    public async Task No_page_may_read_an_answer_until_its_origin_is_named()
    {
        await using var app = await EdgeApp.StartAsync();

        (await AllowedAsync(app, Portal)).ShouldBeNull();
        using var preflight = Preflight(Portal);
        (await app.Client.SendAsync(preflight)).Headers.Contains("Access-Control-Allow-Origin").ShouldBeFalse();
    }

    [Theory]
    [InlineData(Portal, true)]
    [InlineData("http://localhost:3000", true)]
    [InlineData("http://portal.example.com", false)]
    [InlineData("https://portal.example.com:8443", false)]
    [InlineData("https://portal.example.com.evil.test", false)]
    [InlineData("https://evil.portal.example.com", false)]
    [InlineData("http://localhost:3001", false)]
    [InlineData("null", false)]
    public async Task The_very_origin_may_and_no_other(string origin, bool may)
    {
        await using var app = await EdgeApp.StartAsync($"Cors:Origins:0={Portal}", "Cors:Origins:1=http://localhost:3000");

        (await AllowedAsync(app, origin)).ShouldBe(may ? origin : null);
        (await AllowedAsync(app, origin, "/fails")).ShouldBe(may ? origin : null);
    }

    [Theory]
    [InlineData("*")]
    [InlineData("null")]
    [InlineData("portal.example.com")]
    [InlineData("http://portal.example.com")]
    [InlineData("https://*.example.com")]
    [InlineData("https://portal.example.com/")]
    [InlineData("https://portal.example.com/page")]
    public async Task What_is_no_origin_stops_the_start(string origin)
    {
        var refusal = await Should.ThrowAsync<OptionsValidationException>(() => EdgeApp.StartAsync($"Cors:Origins:0={Portal}", $"Cors:Origins:1={origin}"));

        refusal.Message.ShouldContain("Cors:Origins");
        refusal.Message.ShouldContain(origin);
        refusal.Message.ShouldNotContain(Portal + ",");
    }

    internal static HttpRequestMessage Preflight(string origin)
    {
        var request = new HttpRequestMessage(HttpMethod.Options, "/api/v1/batch-inference/jobs");
        request.Headers.Add("Origin", origin);
        request.Headers.Add("Access-Control-Request-Method", "POST");
        request.Headers.Add("Access-Control-Request-Headers", "x-api-key,content-type");
        return request;
    }

    static async Task<string?> AllowedAsync(EdgeApp app, string origin, string path = "/")
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.Add("Origin", origin);
        using var answer = await app.Client.SendAsync(request);
        answer.StatusCode.ShouldBe(path == "/" ? HttpStatusCode.OK : HttpStatusCode.InternalServerError);
        answer.Headers.Contains("Access-Control-Allow-Credentials").ShouldBeFalse();
        return answer.Headers.TryGetValues("Access-Control-Allow-Origin", out var allowed) ? allowed.Single() : null;
    }
}

[Collection(nameof(LimitedHost)), Trait("Category", "Server")]
public sealed class SecuredCorsTests(LimitedHost host)
{
    [Fact]
    public async Task A_browser_asks_first_without_credentials_and_is_answered()
    {
        using var nobody = host.From(null, "203.0.113.30");
        using var question = CorsTests.Preflight(LimitedHost.Origin);
        using var answer = await nobody.SendAsync(question);

        answer.StatusCode.ShouldBe(HttpStatusCode.NoContent);
        answer.Headers.GetValues("Access-Control-Allow-Origin").ShouldBe([LimitedHost.Origin]);
        answer.Headers.GetValues("Access-Control-Allow-Methods").Single().ShouldContain("POST");
        answer.Headers.GetValues("Access-Control-Allow-Headers").Single().ShouldContain("X-Api-Key", Case.Insensitive);

        using var ofAnother = CorsTests.Preflight("https://evil.test");
        using var refused = await nobody.SendAsync(ofAnother);
        refused.Headers.Contains("Access-Control-Allow-Origin").ShouldBeFalse();
    }

    [Fact]
    public async Task A_page_may_read_that_its_user_is_not_let_in()
    {
        using var nobody = host.From(null, "203.0.113.31");
        nobody.DefaultRequestHeaders.Add("Origin", LimitedHost.Origin);
        using var answer = await nobody.GetAsync("/api/v1/models");

        answer.StatusCode.ShouldBe(HttpStatusCode.Unauthorized);
        answer.Headers.GetValues("Access-Control-Allow-Origin").ShouldBe([LimitedHost.Origin]);
    }
}
