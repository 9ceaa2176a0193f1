using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using ServiceDefaults;
using Support;

namespace Api.Tests.Edge;

/// <summary>Who asks nobody who they are listens to nobody from elsewhere, however it is told to.</summary>
public sealed class ListenTests
{
    public static TheoryData<string> Elsewhere => ["http://0.0.0.0", "http://[::]", "http://*", "http://+", "http://some-host", "http://192.0.2.1", "http://[::ffff:0.0.0.0]"];

    [Theory, MemberData(nameof(Elsewhere))]
    public async Task Urls_beyond_this_machine_are_refused(string address)
    {
        var port = FreePort();
        await ShouldBeRefusedAsync(port, () => EdgeApp.Build([$"Urls=http://127.0.0.1:0;{address}:{port}"]));
        await ShouldBeRefusedAsync(port, () => EdgeApp.Build([$"urls={address}:{port}"]));
    }

    [Theory, MemberData(nameof(Elsewhere))]
    public async Task Endpoints_beyond_this_machine_are_refused(string address)
    {
        var port = FreePort();
        await ShouldBeRefusedAsync(port, () => EdgeApp.Build([$"Kestrel:Endpoints:Public:Url={address}:{port}"]));
    }

    [Theory, MemberData(nameof(Elsewhere))]
    public async Task Addresses_that_are_added_late_are_refused(string address)
    {
        var port = FreePort();
        await ShouldBeRefusedAsync(port, () =>
        {
            var app = EdgeApp.Build([]);
            app.Urls.Add($"{address}:{port}");
            return app;
        });
    }

    [Fact]
    public async Task Ports_without_an_address_are_refused()
    {
        var port = FreePort();
        await ShouldBeRefusedAsync(port, () => EdgeApp.Build([$"HTTP_PORTS={port}"]));
    }

    [Fact]
    public async Task What_is_told_in_code_is_refused()
    {
        foreach (var listen in new Action<KestrelServerOptions, int>[]
                 {
                     (kestrel, port) => kestrel.Listen(IPAddress.Any, port), (kestrel, port) => kestrel.Listen(IPAddress.IPv6Any, port),
                     (kestrel, port) => kestrel.ListenAnyIP(port), (kestrel, port) => kestrel.Listen(IPAddress.Parse("192.0.2.1"), port),
                     (kestrel, port) => { kestrel.ListenLocalhost(FreePort()); kestrel.ListenAnyIP(port); },
                 })
        {
            var port = FreePort();
            await ShouldBeRefusedAsync(port, () => EdgeApp.Build([], kestrel => listen(kestrel, port)));
        }
    }

    [Theory]
    [InlineData("http://127.0.0.1:0")]
    [InlineData("http://127.0.0.2:0")]
    [InlineData("http://[::1]:0")]
    public async Task Loopback_is_fine(string address)
    {
        await using var app = EdgeApp.Build([$"Urls={address}"]);
        await app.StartAsync();
        using var client = new HttpClient();
        (await client.GetStringAsync(app.Urls.Single())).ShouldBe("here");
        await app.StopAsync();
    }

    [Fact]
    public async Task Localhost_is_fine()
    {
        await using var app = EdgeApp.Build([$"Urls=http://localhost:{FreePort()}"]);
        await app.StartAsync();
        using var client = new HttpClient();
        (await client.GetStringAsync(app.Urls.Single())).ShouldBe("here");
        await app.StopAsync();
    }

    [Fact]
    public async Task A_Unix_socket_is_fine()
    {
        using var folder = new TestFolder();
        await using var app = EdgeApp.Build([$"Urls=http://unix:{folder["socket"]}"]);
        await app.StartAsync();
        using var client = new HttpClient(new SocketsHttpHandler
        {
            ConnectCallback = async (_, cancellationToken) =>
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(folder["socket"]), cancellationToken);
                return new NetworkStream(socket, ownsSocket: true);
            },
        });
        (await client.GetStringAsync("http://localhost/")).ShouldBe("here");
        await app.StopAsync();
    }

    [Theory]
    [InlineData("Urls=http://0.0.0.0:0")]
    [InlineData("Kestrel:Endpoints:Public:Url=http://0.0.0.0:0")]
    public async Task Who_asks_for_keys_may_listen_everywhere(string where)
    {
        await using var app = EdgeApp.Build([EdgeApp.Closed, where]);
        await app.StartAsync();
        using var client = new HttpClient();
        (await client.GetAsync(new UriBuilder(app.Urls.Single()) { Host = "127.0.0.1" }.Uri)).StatusCode.ShouldBe(HttpStatusCode.Unauthorized);
        await app.StopAsync();
    }

    static async Task ShouldBeRefusedAsync(int port, Func<WebApplication> build)
    {
        var refusal = await Should.ThrowAsync<ListenRefusedException>(async () =>
        {
            await using var app = build();
            await app.StartAsync();
        });

        refusal.Message.ShouldContain("Authentication:ApiKeys:Enabled=true");
        refusal.Message.ShouldContain($"{port}");
        using var client = new TcpClient();
        (await Should.ThrowAsync<SocketException>(() => client.ConnectAsync(IPAddress.Loopback, port))).SocketErrorCode.ShouldBe(SocketError.ConnectionRefused);
    }

    static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
