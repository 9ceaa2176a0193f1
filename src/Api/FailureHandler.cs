using System.Text.RegularExpressions;
using Contracts;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Http;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;
using Npgsql;
using ServiceDefaults;

namespace Api;

/// <summary>The border: what was thrown becomes a problem. A stack trace goes to the log, never to the caller.</summary>
sealed partial class FailureHandler(ILogger<FailureHandler> logger) : IExceptionHandler
{
    const int RetrySeconds = 5;

    public async ValueTask<bool> TryHandleAsync(HttpContext context, Exception exception, CancellationToken cancellationToken)
    {
        if (context.RequestAborted.IsCancellationRequested)
            return true;
        var failure = Translate(exception);
        if (failure.Code == "internal_error")
            LogUnexpected(exception, context.Request.Method, context.Request.Path);
        if (FailureStatus.Of(failure.Code) is StatusCodes.Status503ServiceUnavailable or StatusCodes.Status429TooManyRequests)
            context.Response.Headers.RetryAfter = RetrySeconds.ToString();
        await Problem.From(failure).ExecuteAsync(context);
        return true;
    }

    static Failure Translate(Exception exception) => exception switch
    {
        FailureException known => known.Failure,
        BadHttpRequestException { StatusCode: 413 } => new Failure("body_too_large", "The body is too large."),
        BadHttpRequestException bad when BadParameter().Match(bad.Message) is { Success: true } found => WrongType(found.Groups[1].Value, found.Groups[2].Value),
        BadHttpRequestException { StatusCode: 408 } => new Failure("request_timeout", "The body came too slowly, or not at all."),
        // What the framework says of it is for developers.
        BadHttpRequestException => new Failure("invalid_request", "The request cannot be understood: it is no HTTP as it should be, or lacks a parameter. See /openapi/v1.json."),
        _ when IsOutage(exception) => new Failure("database_unavailable", $"The database does not answer. Try again in {RetrySeconds} seconds."),
        _ => new Failure("internal_error", "Something went wrong here, not in the request. The log has it under the traceId."),
    };

    static Failure WrongType(string field, string value)
    {
        var message = $"{field} cannot be {value}.";
        return new Failure("invalid_request", message, [new FieldFailure(field, "wrong_type", message)]);
    }

    // The framework tells which parameter of the handler it could not read, and how it is declared, only in its message.
    [GeneratedRegex("""^Failed to bind parameter "\S+ (\w+)" from "(.*)"\.$""", RegexOptions.Singleline)]
    private static partial Regex BadParameter();

    // EF Core wraps what Npgsql throws, once or twice.
    static bool IsOutage(Exception? exception) => exception switch
    {
        null => false,
        // The last two: the server answers, and the tables are only just being made.
        PostgresException e => e.IsTransient || e.SqlState.StartsWith("57P", StringComparison.Ordinal) || e.SqlState is "3D000" or "3F000" or "42P01",
        NpgsqlException => true,
        DbUpdateException or InvalidOperationException => IsOutage(exception.InnerException),
        _ => false,
    };
}
