using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;

namespace Api.Tests.Edge;

/// <summary>What a browser must not do with an answer, whatever the answer is.</summary>
[Collection(nameof(LimitedHost)), Trait("Category", "Server")]
public sealed partial class HeadersTests(LimitedHost host)
{
    static readonly Dictionary<string, string> Expected = new()
    {
        ["X-Content-Type-Options"] = "nosniff",
        ["Referrer-Policy"] = "no-referrer",
        ["Cross-Origin-Opener-Policy"] = "same-origin",
        ["Cross-Origin-Resource-Policy"] = "same-origin",
        ["Permissions-Policy"] = "camera=(), geolocation=(), microphone=()",
        ["X-Frame-Options"] = "DENY",
    };

    const string Nothing = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    [Fact]
    public async Task Every_answer_of_the_API_has_them()
    {
        using var browser = host.From("browser");
        using var stranger = host.From(null, "203.0.113.20");
        ShouldHaveThem(await browser.GetAsync("/api/v1/models"), 200);
        ShouldHaveThem(await browser.GetAsync("/api/v1/nothing"), 404);
        ShouldHaveThem(await browser.GetAsync($"/api/v1/batch-inference/jobs/{Guid.Empty}"), 404);
        ShouldHaveThem(await browser.PostAsync("/api/v1/batch-inference/jobs", null), 403);
        ShouldHaveThem(await browser.DeleteAsync("/api/v1/batch-inference/jobs"), 405);
        ShouldHaveThem(await stranger.GetAsync("/api/v1/models"), 401);
        HttpResponseMessage answer;
        do
            answer = await stranger.GetAsync("/api/v1/models");
        while ((int)answer.StatusCode == 401);
        ShouldHaveThem(answer, 429);
    }

    [Fact]
    public async Task What_went_wrong_here_has_them_too()
    {
        await using var app = await EdgeApp.StartAsync();
        ShouldHaveThem(await app.Client.GetAsync("/fails"), 500);
    }

    [Fact]
    public async Task The_landing_page_allows_its_own_style_and_nothing_else()
    {
        using var browser = host.From("browser");
        using var answer = await browser.GetAsync("/");
        var html = await answer.Content.ReadAsStringAsync();

        var style = Style().Match(html).Groups[1].Value;
        style.ShouldNotBeEmpty();
        ShouldHaveThem(answer, 200, $"{Nothing}; style-src 'sha256-{Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(style)))}'");
        html.ShouldNotContain("<script");
        html.ShouldNotContain(" style=");
    }

    static void ShouldHaveThem(HttpResponseMessage answer, int status, string policy = Nothing)
    {
        ((int)answer.StatusCode).ShouldBe(status);
        foreach (var (name, value) in Expected)
            Values(answer, name).ShouldBe([value], $"{name} of {status}");
        Values(answer, "Content-Security-Policy").ShouldBe([policy], $"of {status}");
        answer.Headers.CacheControl!.NoStore.ShouldBeTrue($"of {status}");
        answer.Headers.Contains("Strict-Transport-Security").ShouldBeFalse();
        answer.Headers.Contains("Server").ShouldBeFalse();
    }

    static IEnumerable<string> Values(HttpResponseMessage answer, string name) => answer.Headers.TryGetValues(name, out var values) ? values : [];

    [GeneratedRegex("<style>(.*?)</style>", RegexOptions.Singleline)]
    private static partial Regex Style();
}
