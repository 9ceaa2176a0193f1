using Microsoft.AspNetCore.Http;

namespace Api.Edge;

/// <summary>What a browser must not do with an answer. Set when the answer starts, so that errors carry them too.</summary>
sealed class SecurityHeaders(RequestDelegate next)
{
    const string Nothing = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    public Task InvokeAsync(HttpContext context)
    {
        context.Response.OnStarting(Set, context);
        return next(context);
    }

    /// <summary>For a page with one style sheet within it, and nothing else.</summary>
    public static string ForStyle(string sha256) => $"{Nothing}; style-src 'sha256-{sha256}'";

    static readonly Func<object, Task> Set = state =>
    {
        var context = (HttpContext)state;
        var headers = context.Response.Headers;
        headers.XContentTypeOptions = "nosniff";
        headers["Referrer-Policy"] = "no-referrer";
        headers["Cross-Origin-Opener-Policy"] = "same-origin";
        headers["Cross-Origin-Resource-Policy"] = "same-origin";
        headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=()";
        headers.XFrameOptions = "DENY";
        if (headers.ContentSecurityPolicy.Count == 0)
            headers.ContentSecurityPolicy = Nothing;
        if (headers.CacheControl.Count == 0)
            headers.CacheControl = "no-store";
        if (context.Request.IsHttps)
            headers.StrictTransportSecurity = "max-age=31536000";
        return Task.CompletedTask;
    };
}
