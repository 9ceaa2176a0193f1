using System.Globalization;
using Contracts;
using Contracts.OnlineScoring;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;
using ServiceDefaults;

namespace GpuWorker.OnlineScoring;

/// <summary>One request over HTTP, whoever said which model it is for.</summary>
sealed class ScoreEndpoint(OnlineScorer scorer, IOptions<OnlineScoringOptions> options, TimeProvider clock)
{
    const string TimeoutHeader = ScoringHeaders.Timeout;
    const int LongestTimeout = 60_000;
    const string RetryAfterSeconds = "1";

    internal async Task ScoreAsync(HttpContext context, Func<HttpRequest, (ModelRef Model, AdapterRef? Adapter)> choose)
    {
        var failure = await TryScoreAsync(context, choose);
        if (failure is null || context.RequestAborted.IsCancellationRequested)
            return;
        if (FailureStatus.Of(failure.Code) is StatusCodes.Status429TooManyRequests or StatusCodes.Status503ServiceUnavailable)
            context.Response.Headers.RetryAfter = RetryAfterSeconds;
        await failure.ToProblem().ExecuteAsync(context);
    }

    async Task<Failure?> TryScoreAsync(HttpContext context, Func<HttpRequest, (ModelRef Model, AdapterRef? Adapter)> choose)
    {
        try
        {
            var (model, adapter) = choose(context.Request);
            using var time = new CancellationTokenSource(Timeout(context.Request), clock);
            using var stop = CancellationTokenSource.CreateLinkedTokenSource(time.Token, context.RequestAborted);
            using var body = await PooledBody.ReadAsync(context.Request, options.Value.MaxBodyBytes, "Online:MaxBodyBytes", stop.Token);
            using var answer = new PooledAnswer();
            await scorer.ScoreAsync(model, adapter, body.Memory, answer, stop.Token);
            context.Response.ContentType = "application/json";
            context.Response.ContentLength = answer.Written.Length;
            await context.Response.Body.WriteAsync(answer.Written, context.RequestAborted);
            return null;
        }
        catch (FailureException e)
        {
            return e.Failure;
        }
        catch (OperationCanceledException)
        {
            return new Failure("deadline_exceeded", "The time for the request was up before it was scored.");
        }
        catch (BadHttpRequestException e)
        {
            return new Failure(e.StatusCode == StatusCodes.Status413PayloadTooLarge ? "body_too_large" : "invalid_request", "The body is too large, too slow or breaks off.");
        }
    }

    TimeSpan Timeout(HttpRequest request)
    {
        if (request.Headers[TimeoutHeader] is not [var text, ..])
            return TimeSpan.FromMilliseconds(options.Value.TimeoutMilliseconds);
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var milliseconds) && milliseconds is > 0 and <= LongestTimeout
            ? TimeSpan.FromMilliseconds(milliseconds)
            : throw new FailureException("out_of_range", $"{TimeoutHeader} must be 1 to {LongestTimeout}.", new FieldFailure(TimeoutHeader, "out_of_range", $"Must be 1 to {LongestTimeout}."));
    }
}
