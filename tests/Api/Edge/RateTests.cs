using System.Net;
using System.Net.Http.Json;

namespace Api.Tests.Edge;

[Collection(nameof(LimitedHost)), Trait("Category", "Server")]
public sealed class RateTests(LimitedHost host)
{
    const string Route = "/api/v1/models";
    const string WrongKey = "sgs_AAAAAAAAAAAAAAAAAAAAAA_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    [Fact]
    public async Task A_caller_over_its_rate_is_told_to_wait_and_others_are_served()
    {
        using var fast = host.From("fast");
        using var colleague = host.From("colleague");

        (await FloodAsync(fast, HttpStatusCode.OK)).ShouldBeGreaterThanOrEqualTo(LimitedHost.CallerBurst);

        (await StatusAsync(colleague)).ShouldBe(HttpStatusCode.OK);
        (await StatusAsync(host.As("acme", "viewer"))).ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public async Task Who_asks_again_at_once_is_told_the_same_in_the_same_words()
    {
        using var hasty = host.From("hasty");
        hasty.DefaultRequestHeaders.Add("Origin", LimitedHost.Origin);
        await FloodAsync(hasty, HttpStatusCode.OK);

        using var answer = await hasty.GetAsync(Route);

        await answer.ProblemAsync(429, "rate_limited");
        answer.Headers.RetryAfter!.Delta!.Value.ShouldBeGreaterThanOrEqualTo(TimeSpan.FromSeconds(1));
        answer.Headers.GetValues("X-Content-Type-Options").ShouldBe(["nosniff"]);
        answer.Headers.GetValues("Access-Control-Allow-Origin").ShouldBe([LimitedHost.Origin]);
        // What is counted apart, or not at all, is served.
        (await hasty.PostAsync("/api/v1/endpoints/none/score", null)).StatusCode.ShouldBe(HttpStatusCode.NotFound);
        (await hasty.GetAsync("/health/live")).StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public async Task Callers_of_a_tenant_are_limited_together_and_another_tenant_is_served()
    {
        using var first = host.From("first");
        using var second = host.From("second");
        for (var i = 0; i < LimitedHost.CallerBurst - 5; i++)
            (await StatusAsync(first)).ShouldBe(HttpStatusCode.OK);

        (await FloodAsync(second, HttpStatusCode.OK)).ShouldBeLessThan(LimitedHost.CallerBurst);

        // It has five of its own left, and the tenant what came back meanwhile.
        (await FloodAsync(first, HttpStatusCode.OK)).ShouldBeLessThan(5);
        (await StatusAsync(host.As("acme", "viewer"))).ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public async Task Who_shows_no_key_is_limited_by_address()
    {
        using var stranger = host.From(null, "203.0.113.1");
        using var other = host.From(null, "203.0.113.2");

        (await FloodAsync(stranger, HttpStatusCode.Unauthorized)).ShouldBeGreaterThanOrEqualTo(LimitedHost.StrangerBurst);

        (await StatusAsync(other)).ShouldBe(HttpStatusCode.Unauthorized);
        (await stranger.GetAsync("/health/live")).StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Theory]
    [InlineData(WrongKey, "203.0.113.3")]
    [InlineData("no key at all", "203.0.113.4")]
    public async Task Who_guesses_keys_is_limited_by_address_and_a_good_key_from_there_still_served(string wrong, string address)
    {
        using var known = host.From("known", address);
        (await StatusAsync(known)).ShouldBe(HttpStatusCode.OK);
        using var guesser = host.From(wrong, address);

        await FloodAsync(guesser, HttpStatusCode.Unauthorized);

        (await StatusAsync(known)).ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public async Task Streams_are_limited_by_caller_and_by_tenant_and_a_closed_one_gives_its_place_back()
    {
        using var viewer = host.From("viewer");
        using var other = host.From("other viewer");
        using var first = await OpenAsync(viewer);
        using var second = await OpenAsync(viewer);
        await ShouldBeRefusedAsync(viewer);
        using var third = await OpenAsync(other);
        await ShouldBeRefusedAsync(other);

        first.Dispose();

        await Support.Eventually.TrueAsync(
            async () =>
            {
                using var again = await viewer.GetAsync(Events, HttpCompletionOption.ResponseHeadersRead);
                return again.StatusCode == HttpStatusCode.OK;
            },
            "the place of the closed stream");
    }

    string Events => $"/api/v1/batch-inference/jobs/{host.Job}/events";

    async Task<HttpResponseMessage> OpenAsync(HttpClient client)
    {
        var answer = await client.GetAsync(Events, HttpCompletionOption.ResponseHeadersRead);
        answer.StatusCode.ShouldBe(HttpStatusCode.OK);
        return answer;
    }

    async Task ShouldBeRefusedAsync(HttpClient client)
    {
        using var answer = await client.GetAsync(Events, HttpCompletionOption.ResponseHeadersRead);
        await answer.ProblemAsync(429, "too_many_streams");
        answer.Headers.RetryAfter!.Delta!.Value.ShouldBeGreaterThanOrEqualTo(TimeSpan.FromSeconds(1));
    }

    static async Task<HttpStatusCode> StatusAsync(HttpClient client)
    {
        using var answer = await client.GetAsync(Route);
        return answer.StatusCode;
    }

    /// <returns>How many were answered before one was refused.</returns>
    static async Task<int> FloodAsync(HttpClient client, HttpStatusCode until)
    {
        for (var answered = 0; answered < 1000; answered++)
        {
            using var answer = await client.GetAsync(Route);
            if (answer.StatusCode == HttpStatusCode.TooManyRequests)
            {
                await answer.ProblemAsync(429, "rate_limited");
                answer.Headers.RetryAfter!.Delta!.Value.ShouldBeGreaterThanOrEqualTo(TimeSpan.FromSeconds(1));
                return answered;
            }

            answer.StatusCode.ShouldBe(until);
        }

        throw new InvalidOperationException("1,000 requests were answered, and none refused.");
    }
}
