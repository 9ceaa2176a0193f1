using System.Net;
using Support;

namespace Api.Tests.Edge;

/// <summary>Where nobody has to say who they are, everybody is one caller.</summary>
public sealed class LocalRateTests
{
    static readonly string[] Narrow = ["Limits:CallerBurst=5", "Limits:CallerRequests=1", "Limits:CallerStreams=1"];

    [Fact]
    public async Task A_laptop_is_not_limited()
    {
        await using var app = await EdgeApp.StartAsync(Narrow);

        for (var i = 0; i < 50; i++)
            (await app.Client.GetAsync("/")).StatusCode.ShouldBe(HttpStatusCode.OK);
        using var first = await app.Client.GetAsync("/stream", HttpCompletionOption.ResponseHeadersRead);
        using var second = await app.Client.GetAsync("/stream", HttpCompletionOption.ResponseHeadersRead);
        second.StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public async Task A_laptop_is_limited_when_it_is_to_be()
    {
        await using var app = await EdgeApp.StartAsync([.. Narrow, "Limits:ApplyLocally=true"]);

        for (var i = 0; i < 5; i++)
            (await app.Client.GetAsync("/")).StatusCode.ShouldBe(HttpStatusCode.OK);
        await (await app.Client.GetAsync("/")).ProblemAsync(429, "rate_limited");
    }

    [Fact]
    public async Task A_closed_stream_gives_its_place_back()
    {
        await using var app = await EdgeApp.StartAsync("Limits:ApplyLocally=true", "Limits:CallerStreams=1", "Limits:CallerBurst=100000");
        using (var open = await app.Client.GetAsync("/stream", HttpCompletionOption.ResponseHeadersRead))
        {
            open.StatusCode.ShouldBe(HttpStatusCode.OK);
            await (await app.Client.GetAsync("/stream")).ProblemAsync(429, "too_many_streams");
        }

        await Eventually.TrueAsync(
            async () =>
            {
                using var again = await app.Client.GetAsync("/stream", HttpCompletionOption.ResponseHeadersRead);
                return again.StatusCode == HttpStatusCode.OK;
            },
            "the place of the closed stream");
    }

    [Theory]
    [InlineData("Limits:CallerRequests=0", "CallerRequests")]
    [InlineData("Limits:HeadTimeout=00:00:00", "HeadTimeout")]
    [InlineData("Limits:Proxies:0=proxy.example.com", "Limits:Proxies")]
    public async Task A_limit_that_makes_no_sense_stops_the_start(string setting, string named) =>
        (await Should.ThrowAsync<Microsoft.Extensions.Options.OptionsValidationException>(() => EdgeApp.StartAsync(setting))).Message.ShouldContain(named);
}
