using System.Threading.RateLimiting;
using Api.Edge;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.RateLimiting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Api.Tests.Edge;

public sealed class RecentRefusalsTests : IDisposable
{
    static readonly TimeSpan Wait = TimeSpan.FromMilliseconds(100);

    readonly SetClock _clock = new();
    readonly RecentRefusals _refusals;
    readonly RequestLimits _limits;
    readonly ServiceProvider _services = new ServiceCollection().AddLogging().AddProblemDetails().BuildServiceProvider();

    public RecentRefusalsTests()
    {
        _refusals = new RecentRefusals(_clock);
        _limits = new RequestLimits(Options.Create(new LimitOptions { RefusalDelay = TimeSpan.Zero }), _clock);
    }

    public void Dispose()
    {
        _limits.Dispose();
        _services.Dispose();
    }

    [Fact]
    public void A_refusal_holds_for_as_long_as_its_caller_has_to_wait()
    {
        _refusals.Add(Request("key"), Wait);

        _clock.Now = TimeSpan.FromMilliseconds(30);
        _refusals.Has(Request("key"), out var left).ShouldBeTrue();
        left.ShouldBe(TimeSpan.FromMilliseconds(70));
        _clock.Now = Wait;
        _refusals.Has(Request("key"), out _).ShouldBeFalse();
    }

    [Theory]
    [InlineData("other", null, false)]
    [InlineData("key", "Bearer token", false)]
    [InlineData(null, "key", false)]
    [InlineData("key", null, true)]
    [InlineData(null, null, false)]
    public void It_is_no_other_callers_and_no_other_limits(string? key, string? authorization, bool isScoring)
    {
        _refusals.Add(Request("key"), Wait);

        _refusals.Has(Request(key, authorization, isScoring), out _).ShouldBeFalse();
    }

    [Fact]
    public void Who_shows_nothing_and_who_shows_what_nobody_would_are_not_remembered()
    {
        _refusals.Add(Request(null), Wait);
        _refusals.Add(Request(new string('x', 9_000)), Wait);

        _refusals.Has(Request(null), out _).ShouldBeFalse();
        _refusals.Has(Request(new string('x', 9_000)), out _).ShouldBeFalse();
    }

    [Fact]
    public void However_many_are_refused_nobody_is_taken_for_another()
    {
        for (var i = 0; i < 10_000; i++)
            _refusals.Add(Request($"refused {i}"), Wait);

        Enumerable.Range(0, 10_000).Count(i => _refusals.Has(Request($"served {i}"), out _)).ShouldBe(0);
        Enumerable.Range(0, 10_000).Count(i => _refusals.Has(Request($"refused {i}"), out _)).ShouldBeInRange(500, 1024);
    }

    [Fact]
    public async Task Whom_the_limits_refuse_is_refused_at_the_door_until_it_has_waited()
    {
        (await AtTheDoorAsync()).ShouldBe(200);

        var options = new RateLimiterOptions();
        _limits.Configure(options);
        await options.OnRejected!(new OnRejectedContext { HttpContext = Request("key"), Lease = new Refusal() }, default);

        (await AtTheDoorAsync()).ShouldBe(429);
        (await AtTheDoorAsync("other")).ShouldBe(200);
        _clock.Now = Wait;
        (await AtTheDoorAsync()).ShouldBe(200);
    }

    async Task<int> AtTheDoorAsync(string key = "key")
    {
        var request = Request(key);
        var isIn = false;
        await _limits.AtTheDoorAsync(request, _ =>
        {
            isIn = true;
            return Task.CompletedTask;
        });
        isIn.ShouldBe(request.Response.StatusCode == 200);
        return request.Response.StatusCode;
    }

    DefaultHttpContext Request(string? key, string? authorization = null, bool isScoring = false)
    {
        var request = new DefaultHttpContext { RequestServices = _services };
        request.Request.Headers["X-Api-Key"] = key;
        request.Request.Headers.Authorization = authorization;
        if (isScoring)
            request.SetEndpoint(new Endpoint(null, new EndpointMetadataCollection(new ScoringRate()), "score"));
        return request;
    }

    sealed class Refusal : RateLimitLease
    {
        public override bool IsAcquired => false;

        public override IEnumerable<string> MetadataNames => [MetadataName.RetryAfter.Name];

        public override bool TryGetMetadata(string metadataName, out object? metadata)
        {
            metadata = Wait;
            return metadataName == MetadataName.RetryAfter.Name;
        }
    }

    sealed class SetClock : TimeProvider
    {
        public TimeSpan Now { get; set; }

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => Now.Ticks;
    }
}
