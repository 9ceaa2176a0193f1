using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;

namespace Api.Edge;

/// <summary>
/// Where nobody has to say who they are, a page in the user's browser must not be able to: not by a name of its own that it makes
/// point here (DNS rebinding), and not by a form or script of another site. Programs send none of these headers.
/// </summary>
sealed class LaptopGuard(RequestDelegate next, IOptions<CorsOptions> cors)
{
    public Task InvokeAsync(HttpContext context)
    {
        var request = context.Request;
        if (!IsLoopbackName(request.Host.Host))
            return RefuseAsync(context, $"This host answers to localhost and 127.0.0.1 alone.");
        if (!HttpMethods.IsGet(request.Method) && !HttpMethods.IsHead(request.Method) && !HttpMethods.IsOptions(request.Method) && IsOfAnotherSite(request))
            return RefuseAsync(context, "A page of another site may not do this.");
        return next(context);
    }

    static bool IsLoopbackName(string host) =>
        host.Equals("localhost", StringComparison.OrdinalIgnoreCase) || (IPAddress.TryParse(host, out var address) && IPAddress.IsLoopback(address));

    // Pages that may call are no strangers.
    bool IsOfAnotherSite(HttpRequest request) =>
        !(request.Headers.Origin is [{ } known] && cors.Value.Origins.Contains(known)) && (request.Headers["Sec-Fetch-Site"] is [{ } site] && site is not ("same-origin" or "none")
        || (request.Headers.Origin is [{ } origin] && !origin.Equals($"{request.Scheme}://{request.Host}", StringComparison.OrdinalIgnoreCase)));

    static Task RefuseAsync(HttpContext context, string message) => Problem.From("not_from_here", message).ExecuteAsync(context);
}
