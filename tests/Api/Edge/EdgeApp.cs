using Api.Edge;
using Api.Security;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Sagas.Persistence;

namespace Api.Tests.Edge;

/// <summary>The edge and the security of the API, with next to nothing behind them and a database that does not answer.</summary>
sealed class EdgeApp : IAsyncDisposable
{
    readonly WebApplication _app;

    EdgeApp(WebApplication app) => _app = app;

    /// <summary>With keys nobody can call it, but also nobody is on a laptop.</summary>
    public const string Closed = "Authentication:ApiKeys:Enabled=true";

    public Uri Address => new(_app.Urls.First());

    public HttpClient Client { get; private set; } = null!;

    /// <param name="settings"><c>Section:Key=value</c>.</param>
    public static async Task<EdgeApp> StartAsync(params string[] settings)
    {
        var app = new EdgeApp(Build([.. settings, "Urls=http://127.0.0.1:0"]));
        await app._app.StartAsync();
        app.Client = new HttpClient { BaseAddress = app.Address };
        return app;
    }

    /// <param name="listen">What a server is told in code.</param>
    public static WebApplication Build(IEnumerable<string> settings, Action<KestrelServerOptions>? listen = null)
    {
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory, EnvironmentName = "Test" });
        builder.Logging.ClearProviders();
        builder.Configuration.AddInMemoryCollection(settings.Select(s => s.Split('=', 2)).Select(s => new KeyValuePair<string, string?>(s[0], s[1])));
        builder.AddEdge(isOpen: !builder.AddSecurity());
        builder.Services.AddProblemDetails().AddExceptionHandler<FailureHandler>().AddSingleton(TimeProvider.System)
            .AddPlatformDatabase(_ => PlatformDatabase.Open("Host=127.0.0.1;Port=1;Database=none", "Api.Tests"));
        foreach (var needsDatabase in builder.Services.Where(s => s.ServiceType == typeof(IHostedService) && s.ImplementationType?.Assembly == typeof(LimitOptions).Assembly).ToList())
            builder.Services.Remove(needsDatabase);
        if (listen is not null)
            builder.Services.Configure(listen);
        var app = builder.Build();
        app.UseEdge();
        app.UseSecurity();
        app.MapGet("/", () => "here").Needs(Role.Viewer);
        app.MapPost("/", ReadAsync).Needs(Role.Viewer);
        app.MapGet("/fails", string () => throw new InvalidOperationException("a mistake")).Needs(Role.Viewer);
        app.MapGet("/stream", StreamAsync).Needs(Role.Viewer);
        return app;
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await _app.StopAsync();
        await _app.DisposeAsync();
    }

    static Task ReadAsync(HttpContext context) => context.Request.Body.CopyToAsync(Stream.Null, context.RequestAborted);

    static async Task StreamAsync(HttpContext context, StreamLimits streams)
    {
        streams.Take(context);
        await context.Response.Body.FlushAsync();
        var gone = new TaskCompletionSource();
        await using var _ = context.RequestAborted.Register(gone.SetResult);
        await gone.Task;
    }
}
