using Contracts;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using ServiceDefaults;

namespace Api;

/// <summary>RFC 9457 problem details with a stable <c>code</c> and, where fields are to blame, <c>errors</c>.</summary>
static class Problem
{
    public static ProblemHttpResult From(Failure failure) => failure.ToProblem();

    public static ProblemHttpResult From(string code, string message) => From(new Failure(code, message));

    public static ProblemHttpResult From(string code, string field, string fieldCode, string message) =>
        From(new Failure(code, message, [new FieldFailure(field, fieldCode, message)]));

    public static ProblemHttpResult JobNotFound(Guid id) => From("job_not_found", $"There is no job {id}.");

    /// <summary>For answers that carry a status and nothing else, such as an unknown route.</summary>
    public static Task WriteForStatusAsync(HttpContext context)
    {
        var request = context.Request;
        var problem = context.Response.StatusCode switch
        {
            404 => From("not_found", $"There is nothing at {request.Path}. See /openapi/v1.json."),
            405 => From("method_not_allowed", $"{request.Method} is not possible at {request.Path}. See /openapi/v1.json."),
            413 => From("body_too_large", "The body is too large."),
            415 => From("unsupported_media_type", "Send the body as application/json."),
            var status when status >= 500 => From("internal_error", "Something went wrong here, not in the request."),
            _ => From("invalid_request", "The request cannot be understood."),
        };
        return problem.ExecuteAsync(context);
    }
}
