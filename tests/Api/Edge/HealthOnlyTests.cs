using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using ServiceDefaults;

namespace Api.Tests.Edge;

/// <summary>The consumers' and the workers' hosts, whose only routes are of their health.</summary>
public sealed class HealthOnlyTests
{
    [Fact]
    public void It_is_for_this_machine_until_somebody_says_otherwise() =>
        Should.Throw<ListenRefusedException>(() => Build("http://0.0.0.0:0", isPublic: false)).Message.ShouldContain("Health:Public=true");

    [Fact]
    public async Task Others_learn_whether_it_lives_and_is_ready_and_nothing_else()
    {
        await using var app = Build("http://0.0.0.0:0", isPublic: true);
        await app.StartAsync();
        var port = new Uri(app.Urls.Single()).Port;
        using var client = new HttpClient();

        await ShouldAnswerAsync(client, port, "127.0.0.1", ("/health", 200), ("/health/live", 200), ("/health/ready", 200), ("/secret", 200));
        await ShouldAnswerAsync(client, port, AddressFromElsewhere(client), ("/health", 404), ("/health/live", 200), ("/health/ready", 200), ("/secret", 404), ("/", 404));
        await app.StopAsync();
    }

    static WebApplication Build(string url, bool isPublic)
    {
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory, EnvironmentName = "Test" });
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls(url);
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?> { ["Health:Public"] = $"{isPublic}" });
        builder.AddHealthOnly();
        builder.Services.AddHealthChecks();
        var app = builder.Build();
        app.Use((context, next) =>
        {
            if (context.Request.Headers["X-Test-From"] is [{ } address])
                context.Connection.RemoteIpAddress = IPAddress.Parse(address);
            return next(context);
        });
        app.UseHealthOnly();
        app.MapHealth();
        app.MapGet("/secret", () => "secret");
        return app;
    }

    // A machine without a network has no other address: then a caller only seems to come from one.
    static string AddressFromElsewhere(HttpClient client)
    {
        var own = NetworkInterface.GetAllNetworkInterfaces().Where(i => i.OperationalStatus == OperationalStatus.Up)
            .SelectMany(i => i.GetIPProperties().UnicastAddresses).Select(a => a.Address)
            .FirstOrDefault(a => a.AddressFamily == AddressFamily.InterNetwork && !IPAddress.IsLoopback(a));
        if (own is not null)
            return own.ToString();
        client.DefaultRequestHeaders.Add("X-Test-From", "203.0.113.1");
        return "127.0.0.1";
    }

    static async Task ShouldAnswerAsync(HttpClient client, int port, string host, params (string Path, int Status)[] expected)
    {
        foreach (var (path, status) in expected)
        {
            using var answer = await client.GetAsync($"http://{host}:{port}{path}");
            ((int)answer.StatusCode).ShouldBe(status, $"{path} at {host}");
            if (status == 404)
                (await answer.Content.ReadAsStringAsync()).ShouldBeEmpty();
        }
    }
}
