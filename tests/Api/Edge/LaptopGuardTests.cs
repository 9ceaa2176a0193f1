using System.Net;

namespace Api.Tests.Edge;

/// <summary>Nobody has to say who they are, and yet a page in the user's browser gets nowhere.</summary>
public sealed class LaptopGuardTests
{
    [Theory]
    [InlineData("evil.test")]
    [InlineData("localhost.evil.test")]
    [InlineData("127.0.0.1.evil.test")]
    [InlineData("192.0.2.1")]
    [InlineData("0.0.0.0")]
    public async Task A_name_that_is_made_to_point_here_gets_no_answer(string host)
    {
        await using var app = await EdgeApp.StartAsync();
        foreach (var method in new[] { HttpMethod.Get, HttpMethod.Post })
            await (await SendAsync(app, method, host: host)).ProblemAsync(403, "not_from_here");
    }

    [Theory]
    [InlineData("localhost")]
    [InlineData("LOCALHOST:8080")]
    [InlineData("127.0.0.1")]
    [InlineData("127.0.0.1:8080")]
    [InlineData("[::1]")]
    [InlineData("[::1]:8080")]
    public async Task Names_of_this_machine_do(string host)
    {
        await using var app = await EdgeApp.StartAsync();
        (await SendAsync(app, HttpMethod.Get, host: host)).StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Theory]
    [InlineData("cross-site", null)]
    [InlineData("same-site", null)]
    [InlineData("cross-site", "https://evil.test")]
    [InlineData(null, "https://evil.test")]
    [InlineData(null, "null")]
    [InlineData("none", "https://evil.test")]
    [InlineData(null, "http://localhost:1")]
    public async Task A_page_of_another_site_changes_nothing(string? site, string? origin)
    {
        await using var app = await EdgeApp.StartAsync();
        foreach (var method in new[] { HttpMethod.Post, HttpMethod.Put, HttpMethod.Patch, HttpMethod.Delete })
            await (await SendAsync(app, method, "localhost", site, origin)).ProblemAsync(403, "not_from_here");
    }

    [Theory]
    [InlineData(null, null)]
    [InlineData("same-origin", null)]
    [InlineData("none", null)]
    [InlineData("same-origin", "http://localhost:8080")]
    [InlineData(null, "http://localhost:8080")]
    public async Task A_program_and_a_page_from_here_may(string? site, string? origin)
    {
        await using var app = await EdgeApp.StartAsync();
        (await SendAsync(app, HttpMethod.Post, "localhost:8080", site, origin)).StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public async Task So_may_a_page_whose_origin_is_named_and_its_neighbour_may_not()
    {
        await using var app = await EdgeApp.StartAsync("Cors:Origins:0=https://portal.example.com");
        (await SendAsync(app, HttpMethod.Post, "localhost:8080", "cross-site", "https://portal.example.com")).StatusCode.ShouldBe(HttpStatusCode.OK);
        await (await SendAsync(app, HttpMethod.Post, "localhost:8080", "cross-site", "https://evil.example.com")).ProblemAsync(403, "not_from_here");
    }

    [Fact]
    public async Task Where_keys_are_needed_any_name_will_do()
    {
        await using var app = await EdgeApp.StartAsync(EdgeApp.Closed);
        await (await SendAsync(app, HttpMethod.Post, "sagas.example.com", "cross-site", "https://portal.example.com")).ProblemAsync(401, "not_authenticated");
    }

    static async Task<HttpResponseMessage> SendAsync(EdgeApp app, HttpMethod method, string? host, string? site = null, string? origin = null)
    {
        using var request = new HttpRequestMessage(method, "/");
        request.Headers.Host = host;
        if (site is not null)
            request.Headers.Add("Sec-Fetch-Site", site);
        if (origin is not null)
            request.Headers.Add("Origin", origin);
        return await app.Client.SendAsync(request);
    }
}
