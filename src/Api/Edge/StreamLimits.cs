using System.Threading.RateLimiting;
using Api.Security;
using Contracts;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;

namespace Api.Edge;

/// <summary>Event streams open at once, of each caller and of each tenant: each holds a connection for as long as it likes.</summary>
sealed class StreamLimits : IDisposable
{
    readonly LimitOptions _limits;
    readonly PartitionedRateLimiter<Caller> _open;

    public StreamLimits(IOptions<LimitOptions> limits)
    {
        _limits = limits.Value;
        _open = PartitionedRateLimiter.CreateChained(
            PartitionedRateLimiter.Create<Caller, string>(caller => Places(caller.Id, _limits.CallerStreams)),
            PartitionedRateLimiter.Create<Caller, string>(caller => Places(caller.Tenant, _limits.TenantStreams)));
    }

    /// <summary>Takes a place, which the end of the request gives back.</summary>
    /// <exception cref="FailureException">There is none left.</exception>
    public void Take(HttpContext context)
    {
        var caller = context.Caller();
        if (caller == LocalHandler.Anybody && !_limits.ApplyLocally)
            return;
        var place = _open.AttemptAcquire(caller);
        if (!place.IsAcquired)
        {
            place.Dispose();
            throw new FailureException("too_many_streams", "Too many event streams are open. Close some, or look at the jobs from time to time.");
        }

        context.Response.RegisterForDispose(place);
    }

    public void Dispose() => _open.Dispose();

    static RateLimitPartition<string> Places(string key, int most) =>
        RateLimitPartition.GetConcurrencyLimiter(key, _ => new ConcurrencyLimiterOptions { PermitLimit = most, QueueLimit = 0 });
}
