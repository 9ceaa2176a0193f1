using System.Text;
using Contracts;
using Microsoft.AspNetCore.Http;

namespace Api.Requests;

/// <summary>An answer as it can be kept and given again.</summary>
/// <param name="Json">The body.</param>
/// <param name="IsRepeated">It was first given to an earlier request with the same Idempotency-Key.</param>
public sealed record Answer(int StatusCode, string Json, string? Location, bool IsRepeated = false) : IResult
{
    public static Answer Of<T>(int statusCode, T body, string? location = null) => new(statusCode, WireJson.Write(body), location);

    public Task ExecuteAsync(HttpContext httpContext)
    {
        var response = httpContext.Response;
        response.StatusCode = StatusCode;
        response.ContentType = "application/json; charset=utf-8";
        if (Location is not null)
            response.Headers.Location = Location;
        if (IsRepeated)
            response.Headers["Idempotency-Replayed"] = "true";
        return response.WriteAsync(Json, Encoding.UTF8, httpContext.RequestAborted);
    }
}
