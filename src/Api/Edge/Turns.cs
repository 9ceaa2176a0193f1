using System.Threading.RateLimiting;
using Api.Security;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;

namespace Api.Edge;

/// <summary>Says that a request of this route lasts as long as its caller likes, and has a limit of its own.</summary>
sealed record OwnPace;

/// <summary>
/// So many requests of a caller are worked on at once, and the next wait in their order: a burst of one caller queues behind itself, not in
/// front of everybody else.
/// </summary>
sealed class Turns(IOptions<LimitOptions> limits) : IDisposable
{
    readonly LimitOptions _limits = limits.Value;
    readonly PartitionedRateLimiter<string> _turns = PartitionedRateLimiter.Create<string, string>(caller => RateLimitPartition.GetConcurrencyLimiter(
        caller, _ => new ConcurrencyLimiterOptions { PermitLimit = limits.Value.EffectiveAtOnce, QueueLimit = limits.Value.CallerBurst }));

    public async Task InvokeAsync(HttpContext context, RequestDelegate next, RequestLimits requests)
    {
        if (Caller.Of(context.User) is not { } caller || (caller == LocalHandler.Anybody && !_limits.ApplyLocally) || context.GetEndpoint()?.Metadata.GetMetadata<OwnPace>() is not null)
        {
            await next(context);
            return;
        }

        using var turn = await _turns.AcquireAsync(caller.Id, cancellationToken: context.RequestAborted);
        await (turn.IsAcquired ? next(context) : requests.RefuseAsync(context, TimeSpan.FromSeconds(1)));
    }

    public void Dispose() => _turns.Dispose();
}

/// <summary>Says that requests of this route are many and small, and are counted apart.</summary>
sealed record ScoringRate;

static class Pace
{
    public static bool IsScoring(this HttpContext context) => context.GetEndpoint()?.Metadata.GetMetadata<ScoringRate>() is not null;

    public static TBuilder AtScoringRate<TBuilder>(this TBuilder route) where TBuilder : IEndpointConventionBuilder => route.WithMetadata(new ScoringRate());

    public static TBuilder AtOwnPace<TBuilder>(this TBuilder route) where TBuilder : IEndpointConventionBuilder => route.WithMetadata(new OwnPace());
}
