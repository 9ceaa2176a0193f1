using System.Net;
using System.Security.Cryptography;
using System.Text;
using Api.Edge;
using Api.Security;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

namespace Api;

static class LandingPage
{
    const string Style =
        "body { font: 1rem/1.5 system-ui, sans-serif; max-width: 44rem; margin: 3rem auto; padding: 0 1rem } pre { background: #f4f4f4; padding: 1rem; overflow: auto }";

    static readonly string StylePolicy = SecurityHeaders.ForStyle(Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(Style))));

    static readonly (string Path, string What)[] Places =
    [
        ("/api/v1/batch-inference/jobs", "Jobs"),
        ("/api/v1/models", "Models"),
        ("/api/v1/operations/invariants", "Invariants"),
        ("/openapi/v1.json", "The API, described"),
        ("/health", "Health"),
        ("/info", "Versions"),
    ];

    public static void MapLandingPage(this IEndpointRouteBuilder app) => app.MapGet("/", Page).ExcludeFromDescription().Needs(Role.Viewer);

    static ContentHttpResult Page(HttpContext context)
    {
        context.Response.Headers.ContentSecurityPolicy = StylePolicy;
        var lines = string.Concat(Places.Select(p => $"<li><a href=\"{p.Path}\">{WebUtility.HtmlEncode(p.What)}</a> <code>{p.Path}</code></li>\n"));
        var origin = WebUtility.HtmlEncode($"{context.Request.Scheme}://{context.Request.Host}");
        return TypedResults.Content(
            $$"""
            <!doctype html>
            <html lang="en">
            <head><meta charset="utf-8"><title>Sagas</title>
            <style>{{Style}}</style></head>
            <body>
            <h1>Sagas</h1>
            <ul>
            {{lines}}</ul>
            <p>Score the sample rows of a sample model:</p>
            <pre>curl -s {{origin}}/api/v1/batch-inference/jobs -H 'Content-Type: application/json' -d '{"modelType":"credit-risk"}'</pre>
            <p>The answer's links lead to the job, its live events and its results.</p>
            </body>
            </html>
            """, "text/html; charset=utf-8");
    }
}
