using Api.Edge;
using Api.Security;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Api.Tests.Edge;

public sealed class TurnsTests : IDisposable
{
    static readonly IOptions<LimitOptions> Limits = Options.Create(new LimitOptions { CallerAtOnce = 2, CallerBurst = 1 });

    readonly StoppedClock _clock = new();
    readonly Turns _turns = new(Limits);
    readonly RequestLimits _requests;
    readonly ServiceProvider _services = new ServiceCollection().AddLogging().AddProblemDetails().BuildServiceProvider();
    readonly TaskCompletionSource _end = new();
    readonly List<string> _worked = [];

    public TurnsTests() => _requests = new RequestLimits(Limits, _clock);

    public void Dispose()
    {
        (_turns as IDisposable).Dispose();
        _requests.Dispose();
        _services.Dispose();
    }

    [Fact]
    public async Task The_requests_of_a_caller_wait_for_each_other_and_nobody_else_waits_for_them()
    {
        var first = AskAsync("greedy", "first");
        var second = AskAsync("greedy", "second");
        var third = AskAsync("greedy", "third");
        var other = AskAsync("modest", "other");
        _worked.ShouldBe(["first", "second", "other"]);

        _end.SetResult();

        await Task.WhenAll(first, second, third, other);
        _worked[^1].ShouldBe("third");
    }

    [Fact]
    public async Task Who_has_too_many_waiting_is_refused_and_the_refusal_is_held_back()
    {
        var waiting = Enumerable.Range(0, 3).Select(i => AskAsync("greedy", $"{i}")).ToList();
        var over = new DefaultHttpContext { RequestServices = _services };

        var refused = AskAsync("greedy", "over", over);
        refused.IsCompleted.ShouldBeFalse();
        over.Response.StatusCode.ShouldBe(200);
        _clock.Timers.ShouldHaveSingleItem().Fire();

        await refused;
        over.Response.StatusCode.ShouldBe(429);
        over.Response.Headers.RetryAfter.ToString().ShouldBe("1");
        _end.SetResult();
        await Task.WhenAll(waiting);
        _worked.ShouldBe(["0", "1", "2"]);
    }

    [Fact]
    public async Task Who_gives_up_waiting_leaves_the_queue()
    {
        var working = new[] { AskAsync("greedy", "0"), AskAsync("greedy", "1") };
        using var gone = new CancellationTokenSource();
        var impatient = AskAsync("greedy", "impatient", new DefaultHttpContext { RequestAborted = gone.Token });
        await gone.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(impatient);

        var next = AskAsync("greedy", "next");
        _end.SetResult();

        await Task.WhenAll([.. working, next]);
        _worked.ShouldBe(["0", "1", "next"]);
    }

    [Fact]
    public async Task A_route_at_its_own_pace_takes_no_turn()
    {
        var working = new[] { AskAsync("greedy", "0"), AskAsync("greedy", "1") };
        var stream = new DefaultHttpContext();
        stream.SetEndpoint(new Endpoint(null, new EndpointMetadataCollection(new OwnPace()), "stream"));

        var streaming = AskAsync("greedy", "stream", stream);

        _worked.ShouldBe(["0", "1", "stream"]);
        _end.SetResult();
        await Task.WhenAll([.. working, streaming]);
    }

    Task AskAsync(string caller, string what, HttpContext? context = null)
    {
        context ??= new DefaultHttpContext();
        context.User = new Caller("acme", caller, null, Role.Viewer, null).ToPrincipal("Test");
        return _turns.InvokeAsync(
            context,
            _ =>
            {
                _worked.Add(what);
                return _end.Task;
            },
            _requests);
    }

    /// <summary>Its timers go off when they are told to.</summary>
    sealed class StoppedClock : TimeProvider
    {
        public List<StoppedTimer> Timers { get; } = [];

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            var timer = new StoppedTimer(callback, state);
            Timers.Add(timer);
            return timer;
        }
    }

    sealed class StoppedTimer(TimerCallback callback, object? state) : ITimer
    {
        public void Fire() => callback(state);

        public bool Change(TimeSpan dueTime, TimeSpan period) => true;

        public void Dispose()
        {
        }

        public ValueTask DisposeAsync() => default;
    }
}
