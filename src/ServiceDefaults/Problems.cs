using Contracts;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.WebUtilities;

namespace ServiceDefaults;

/// <summary>RFC 9457 problem details with a stable <c>code</c> and, where fields are to blame, <c>errors</c>.</summary>
public static class Problems
{
    public static ProblemHttpResult ToProblem(this Failure failure)
    {
        var status = FailureStatus.Of(failure.Code);
        var details = new ProblemDetails
        {
            Type = $"urn:sagas:problem:{failure.Code}",
            Title = ReasonPhrases.GetReasonPhrase(status),
            Status = status,
            Detail = failure.Message,
        };
        details.Extensions["code"] = failure.Code;
        if (failure.Fields.Count > 0)
            details.Extensions["errors"] = failure.Fields;
        return TypedResults.Problem(details);
    }
}
