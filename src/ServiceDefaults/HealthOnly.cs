using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;

namespace ServiceDefaults;

/// <summary>For a host that serves nothing but its health, and asks nobody who they are.</summary>
public static class HealthOnly
{
    const string Setting = "Health:Public";

    static readonly PathString[] ForAnybody = ["/health/live", "/health/ready"];

    /// <exception cref="ListenRefusedException">It is to listen beyond this machine, and nobody said that it may.</exception>
    public static void AddHealthOnly(this IHostApplicationBuilder builder)
    {
        if (!builder.Configuration.GetValue(Setting, false))
            builder.AddLoopbackOnly($"set {Setting}=true: others then learn whether it lives and is ready, and nothing else");
    }

    /// <summary>To other machines only what an orchestrator asks is there.</summary>
    /// <param name="guarded">Routes that ask themselves who calls.</param>
    public static void UseHealthOnly(this WebApplication app, params PathString[] guarded) => app.Use((context, next) =>
    {
        if (context.Connection.RemoteIpAddress is not { } address || IPAddress.IsLoopback(address)
            || ForAnybody.Contains(context.Request.Path) || guarded.Contains(context.Request.Path))
            return next(context);
        context.Response.StatusCode = StatusCodes.Status404NotFound;
        return Task.CompletedTask;
    });
}
