using System.Net;

namespace Api.Tests.Edge;

/// <summary>What a connection may do before, and while, it says what it wants.</summary>
public sealed class ConnectionTests
{
    const string Get = "GET / HTTP/1.1\r\nHost: localhost\r\n";

    [Fact]
    public async Task A_head_that_comes_byte_by_byte_is_cut_off()
    {
        await using var app = await EdgeApp.StartAsync("Limits:HeadTimeout=00:00:01");
        await using var slow = await RawConnection.OpenAsync(app.Address);
        await slow.SendAsync($"{Get}X-Slow: ");

        var answer = slow.ReadToEndAsync();
        using var drip = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
        while (!answer.IsCompleted && await drip.WaitForNextTickAsync() && await slow.SendAsync("x"))
        {
        }

        // A byte sent after the end resets the connection, and takes what was answered with it.
        if (await answer is { Length: > 0 } text)
            text.ShouldStartWith("HTTP/1.1 408 ");
        (await app.Client.GetAsync("/")).StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public async Task A_connection_that_says_nothing_is_closed()
    {
        await using var app = await EdgeApp.StartAsync("Limits:IdleTimeout=00:00:01", "Limits:HeadTimeout=00:00:01");
        await using var silent = await RawConnection.OpenAsync(app.Address);
        await using var done = await RawConnection.OpenAsync(app.Address);
        await done.SendAsync($"{Get}\r\n");

        (await done.ReadToEndAsync()).ShouldStartWith("HTTP/1.1 200 ");
        await silent.ReadToEndAsync();
    }

    [Fact]
    public async Task A_body_slower_than_the_least_speed_is_cut_off()
    {
        await using var app = await EdgeApp.StartAsync("Limits:LeastBytesPerSecond=1000");
        await using var slow = await RawConnection.OpenAsync(app.Address);
        await slow.SendAsync("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\nso far");

        var answer = await slow.ReadToEndAsync();

        answer.ShouldStartWith("HTTP/1.1 408 ");
        answer.ShouldContain("request_timeout");
    }

    [Fact]
    public async Task Connections_over_the_limit_are_closed_at_once()
    {
        await using var app = await EdgeApp.StartAsync("Limits:Connections=2");
        await using var first = await RawConnection.OpenAsync(app.Address);
        await using var second = await RawConnection.OpenAsync(app.Address);
        foreach (var connection in new[] { first, second })
        {
            await connection.SendAsync($"{Get}\r\n");
            (await connection.ReadHeadAsync()).ShouldStartWith("HTTP/1.1 200 ");
        }

        await using var third = await RawConnection.OpenAsync(app.Address);
        await third.SendAsync($"{Get}\r\n");
        (await third.ReadToEndAsync()).ShouldBe("");
    }

    [Fact]
    public async Task Too_many_headers_and_too_long_a_head_are_refused()
    {
        await using var app = await EdgeApp.StartAsync();
        foreach (var surplus in new[] { string.Concat(Enumerable.Range(0, 65).Select(i => $"X-{i}: x\r\n")), $"X-Long: {new string('x', 33_000)}\r\n" })
        {
            await using var connection = await RawConnection.OpenAsync(app.Address);
            await connection.SendAsync($"{Get}{surplus}\r\n");
            (await connection.ReadToEndAsync()).ShouldStartWith("HTTP/1.1 431 ");
        }
    }

    [Fact]
    public async Task Who_is_not_let_in_sends_no_gigabyte_first()
    {
        await using var app = await EdgeApp.StartAsync(EdgeApp.Closed);
        await using var stranger = await RawConnection.OpenAsync(app.Address);
        await stranger.SendAsync("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n");

        (await stranger.ReadToEndAsync()).ShouldStartWith("HTTP/1.1 401 ");
    }

    [Fact]
    public async Task The_server_does_not_say_what_it_is()
    {
        await using var app = await EdgeApp.StartAsync();

        foreach (var path in new[] { "/", "/fails", "/nothing" })
            (await app.Client.GetAsync(path)).Headers.Server.ShouldBeEmpty();
        await using var odd = await RawConnection.OpenAsync(app.Address);
        await odd.SendAsync("no HTTP\r\n\r\n");
        var answer = await odd.ReadToEndAsync();
        answer.ShouldStartWith("HTTP/1.1 400 ");
        answer.ShouldNotContain("Server:");
    }
}
