using Contracts;
using Contracts.OnlineScoring;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;
using ServiceDefaults;

namespace GpuWorker.OnlineScoring;

/// <summary>One request over HTTP, whoever said which model it is for.</summary>
sealed class ScoreEndpoint(OnlineScorer scorer, IOptions<OnlineScoringOptions> options, TimeProvider clock)
{
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
            using var time = new CancellationTokenSource(ScoringTimeout.Read(context.Request.Headers[ScoringHeaders.Timeout] is [{ } asked, ..] ? asked : null, options.Value.TimeoutMilliseconds), clock);
            using var stop = CancellationTokenSource.CreateLinkedTokenSource(time.Token, context.RequestAborted);
            using var body = await PooledBody.ReadAsync(context.Request, options.Value.MaxBodyBytes, "Online:MaxBodyBytes of the worker", stop.Token);
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
}
