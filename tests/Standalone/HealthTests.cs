using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;
using OpenTelemetry.Metrics;
using OpenTelemetry.Trace;
using ServiceDefaults;

namespace Standalone.Tests;

public sealed class HealthTests
{
    [Fact]
    public async Task Readiness_depends_on_what_is_needed_alone_and_liveness_on_nothing()
    {
        var isNeededThere = false;
        await using var app = Build(checks => checks
            .AddCheck("database", () => isNeededThere ? HealthCheckResult.Healthy() : HealthCheckResult.Unhealthy("gone"), tags: [Health.Needed])
            .AddCheck("bus", () => HealthCheckResult.Unhealthy("broker away"), tags: ["ready"]));
        await app.StartAsync();
        using var http = Client(app);

        (await http.GetAsync("/health/live")).StatusCode.ShouldBe(HttpStatusCode.OK);
        (await http.GetAsync("/health/ready")).StatusCode.ShouldBe(HttpStatusCode.ServiceUnavailable);
        isNeededThere = true;
        (await http.GetAsync("/health/ready")).StatusCode.ShouldBe(HttpStatusCode.OK);

        var all = await http.GetAsync("/health");
        all.StatusCode.ShouldBe(HttpStatusCode.ServiceUnavailable);
        var body = JsonDocument.Parse(await all.Content.ReadAsStringAsync()).RootElement;
        body.GetProperty("checks").EnumerateArray().Single(check => check.GetProperty("name").GetString() == "bus")
            .GetProperty("description").GetString().ShouldBe("broker away");
    }

    [Fact]
    public async Task Telemetry_is_collected_only_where_an_endpoint_is_named()
    {
        await using var without = Build(_ => { });
        without.Services.GetService<TracerProvider>().ShouldBeNull();

        await using var with = Build(_ => { }, "--OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317");
        with.Services.GetRequiredService<TracerProvider>().ShouldNotBeNull();
        with.Services.GetRequiredService<MeterProvider>().ShouldNotBeNull();
    }

    static WebApplication Build(Action<IHealthChecksBuilder> checks, params string[] args)
    {
        var builder = WebApplication.CreateSlimBuilder(args);
        builder.AddServiceDefaults();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        checks(builder.Services.AddHealthChecks());
        var app = builder.Build();
        app.MapHealth();
        return app;
    }

    static HttpClient Client(WebApplication app) =>
        new() { BaseAddress = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First()) };
}
