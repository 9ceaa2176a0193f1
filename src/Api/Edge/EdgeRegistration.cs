using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.HttpOverrides;
using Microsoft.AspNetCore.RateLimiting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using ServiceDefaults;

namespace Api.Edge;

/// <summary>What stands between the network and the routes: limits, headers, and who may call from a browser.</summary>
static class EdgeRegistration
{
    const int MostHeaderBytes = 32 * 1024;
    const int MostHeaders = 64;
    const long ReadAheadBytes = 128 * 1024;
    static readonly TimeSpan SlowBodyGrace = TimeSpan.FromSeconds(5);

    /// <param name="isOpen">Nobody has to say who they are.</param>
    public static void AddEdge(this IHostApplicationBuilder builder, bool isOpen)
    {
        var services = builder.Services;
        if (isOpen)
        {
            builder.AddLoopbackOnly("let callers say who they are: Authentication:ApiKeys:Enabled=true, or Authentication:Entra:TenantId and Authentication:Entra:Audiences:0");
            services.AddSingleton(new OpenToThisMachine());
        }

        services.AddOptions<LimitOptions>().BindConfiguration(LimitOptions.Section).ValidateDataAnnotations()
            .Validate(limits => limits.Proxies.All(proxy => IPAddress.TryParse(proxy, out _)), "Limits:Proxies must be addresses.").ValidateOnStart();
        services.AddOptions<KestrelServerOptions>().Configure<IOptions<LimitOptions>>((kestrel, limits) => Limit(kestrel, limits.Value));
        services.AddRateLimiter(_ => { });
        services.AddSingleton<RequestLimits>();
        services.AddSingleton<IConfigureOptions<RateLimiterOptions>>(provider => provider.GetRequiredService<RequestLimits>());
        services.AddSingleton<StreamLimits>();
        services.AddSingleton<Turns>();

        services.AddOptions<CorsOptions>().BindConfiguration(CorsOptions.Section).ValidateOnStart();
        services.AddSingleton<IValidateOptions<CorsOptions>, CorsOptions.Validator>();
        var origins = builder.Configuration.GetSection($"{CorsOptions.Section}:{nameof(CorsOptions.Origins)}").Get<string[]>() ?? [];
        services.AddCors(cors => cors.AddDefaultPolicy(policy => policy
            .WithOrigins(origins).WithMethods("GET", "POST", "DELETE")
            .WithHeaders("Authorization", "X-Api-Key", "Content-Type", "Idempotency-Key", "Last-Event-ID")
            .WithExposedHeaders("Location", "Retry-After", "Idempotency-Replayed", "traceparent")));
    }

    /// <summary>Comes first: what it adds to an answer, and whom it turns away, do not depend on who asks.</summary>
    public static void UseEdge(this WebApplication app)
    {
        if (app.Services.GetRequiredService<IOptions<LimitOptions>>().Value.Proxies is { Length: > 0 } proxies)
            app.UseForwardedHeaders(Forwarded(proxies));
        app.UseMiddleware<SecurityHeaders>();
        if (app.Services.GetService<OpenToThisMachine>() is not null)
            app.UseMiddleware<LaptopGuard>();
        if (app.Services.GetRequiredService<IOptions<CorsOptions>>().Value.Origins.Length > 0)
            app.UseCors();
        // Before whatever would live as long as a refusal is held back.
        app.Use(app.Services.GetRequiredService<RequestLimits>().AtTheDoorAsync);
        app.UseExceptionHandler();
        app.UseStatusCodePages(context => Problem.WriteForStatusAsync(context.HttpContext));
    }

    static void Limit(KestrelServerOptions kestrel, LimitOptions limits)
    {
        kestrel.AddServerHeader = false;
        // The routes refuse at the limit.
        kestrel.Limits.MaxRequestBodySize = limits.BodyBytes + PooledBody.Taken;
        kestrel.Limits.MaxRequestBufferSize = ReadAheadBytes;
        kestrel.Limits.RequestHeadersTimeout = limits.HeadTimeout;
        kestrel.Limits.KeepAliveTimeout = limits.IdleTimeout;
        kestrel.Limits.MaxConcurrentConnections = limits.Connections;
        kestrel.Limits.MaxRequestHeadersTotalSize = MostHeaderBytes;
        kestrel.Limits.MaxRequestHeaderCount = MostHeaders;
        kestrel.Limits.MinRequestBodyDataRate = new MinDataRate(limits.LeastBytesPerSecond, SlowBodyGrace);
        kestrel.Limits.MinResponseDataRate = new MinDataRate(limits.LeastBytesPerSecond, SlowBodyGrace);
    }

    static ForwardedHeadersOptions Forwarded(string[] proxies)
    {
        var options = new ForwardedHeadersOptions { ForwardedHeaders = ForwardedHeaders.XForwardedFor | ForwardedHeaders.XForwardedProto };
        options.KnownProxies.Clear();
        options.KnownIPNetworks.Clear();
        foreach (var proxy in proxies)
            options.KnownProxies.Add(IPAddress.Parse(proxy));
        return options;
    }

    sealed record OpenToThisMachine;
}
