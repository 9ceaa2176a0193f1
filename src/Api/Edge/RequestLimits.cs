using System.Diagnostics.Metrics;
using System.Net;
using System.Threading.RateLimiting;
using Api.Security;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.RateLimiting;
using Microsoft.Extensions.Options;

namespace Api.Edge;

/// <summary>
/// Requests a second, of each caller and of each tenant; of each address for those who are neither. They are counted before anything
/// touches the database, and what is over is answered 429.
/// </summary>
sealed class RequestLimits : IConfigureOptions<RateLimiterOptions>, IDisposable
{
    static readonly Meter Meter = new("Api.Edge");
    static readonly Counter<long> Limited = Meter.CreateCounter<long>("requests.limited", description: "Requests refused because there were too many");

    const long RefusedBytes = 64 * 1024;
    const int MostHeld = 1_000;

    readonly LimitOptions _limits;
    readonly PartitionedRateLimiter<IPAddress> _guesses;
    readonly RecentRefusals _recent;
    readonly TimeProvider _clock;
    int _held;

    public RequestLimits(IOptions<LimitOptions> limits, TimeProvider clock)
    {
        (_limits, _recent, _clock) = (limits.Value, new RecentRefusals(clock), clock);
        _guesses = PartitionedRateLimiter.Create<IPAddress, IPAddress>(address => Bucket(address, _limits.StrangerRequests, _limits.StrangerBurst));
    }

    public void Configure(RateLimiterOptions options)
    {
        options.RejectionStatusCode = StatusCodes.Status429TooManyRequests;
        options.GlobalLimiter = PartitionedRateLimiter.CreateChained(
            PartitionedRateLimiter.Create<HttpContext, string>(context => IsFree(context, out var caller) || caller is null
                ? RateLimitPartition.GetNoLimiter("")
                : context.IsScoring()
                    ? Bucket($"scores {caller.Id}", _limits.CallerScores, _limits.CallerScoresBurst)
                    : Bucket(caller.Id, _limits.CallerRequests, _limits.CallerBurst)),
            PartitionedRateLimiter.Create<HttpContext, string>(context => IsFree(context, out var caller) || (caller is not null && context.IsScoring())
                ? RateLimitPartition.GetNoLimiter("")
                : caller is null
                    ? Bucket($"address {AddressOf(context)}", _limits.StrangerRequests, _limits.StrangerBurst)
                    : Bucket($"tenant {caller.Tenant}", _limits.TenantRequests, _limits.TenantBurst)));
        options.OnRejected = (rejected, _) =>
        {
            var wait = Wait(rejected.Lease);
            _recent.Add(rejected.HttpContext, wait);
            return new(RefuseAsync(rejected.HttpContext, wait));
        };
    }

    /// <summary>Comes before it is asked who calls.</summary>
    public Task AtTheDoorAsync(HttpContext context, RequestDelegate next) =>
        _recent.Has(context, out var wait) && context.GetEndpoint()?.Metadata.GetMetadata<DisableRateLimitingAttribute>() is null
            ? RefuseAsync(context, wait)
            : next(context);

    /// <summary>Whether a key that nobody here has seen before may be looked up for this address: guessing costs the guesser, not the database.</summary>
    // A part of a permit, of which there nearly always is one, would do for a lease of none.
    public bool MayGuess(IPAddress? address) => _guesses.GetStatistics(address ?? IPAddress.None)?.CurrentAvailablePermits >= 1;

    public void GuessedWrong(IPAddress? address) => _guesses.AttemptAcquire(address ?? IPAddress.None).Dispose();

    /// <param name="wait">How long the caller has to wait before it is worth asking again.</param>
    public async Task RefuseAsync(HttpContext context, TimeSpan wait)
    {
        Limited.Add(1);
        // A body that nobody reads is still taken off the connection, so that a client that sends first sees the answer: not more of it than is cheap.
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } body)
            body.MaxRequestBodySize = RefusedBytes;
        await HoldAsync();
        var seconds = Math.Max(1, (int)Math.Ceiling(wait.TotalSeconds));
        context.Response.Headers.RetryAfter = seconds.ToString();
        await Problem.From("rate_limited", $"Too many requests. Try again in {seconds} s, and more slowly.").ExecuteAsync(context);
    }

    public void Dispose() => _guesses.Dispose();

    // Who asks again at once, whatever the answer, asks less often this way; who waits as told loses nothing. Who has gone is not heard:
    // that would be one more thing kept alive for each.
    async Task HoldAsync()
    {
        if (Interlocked.Increment(ref _held) <= MostHeld)
            await Task.Delay(_limits.RefusalDelay, _clock);
        Interlocked.Decrement(ref _held);
    }

    static TimeSpan Wait(RateLimitLease lease) => lease.TryGetMetadata(MetadataName.RetryAfter, out var wait) ? wait : TimeSpan.FromSeconds(1);

    bool IsFree(HttpContext context, out Caller? caller) =>
        (caller = Caller.Of(context.User)) == LocalHandler.Anybody && !_limits.ApplyLocally;

    static IPAddress AddressOf(HttpContext context) => context.Connection.RemoteIpAddress ?? IPAddress.None;

    static RateLimitPartition<TKey> Bucket<TKey>(TKey key, int perSecond, int burst) => RateLimitPartition.GetTokenBucketLimiter(key, _ => new TokenBucketRateLimiterOptions
    {
        TokenLimit = burst,
        TokensPerPeriod = Math.Max(1, perSecond / 10),
        ReplenishmentPeriod = TimeSpan.FromSeconds(perSecond >= 10 ? 0.1 : 1.0 / perSecond),
        QueueLimit = 0,
    });
}
