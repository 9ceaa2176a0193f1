using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace ServiceDefaults;

/// <summary>A host that asks nobody who they are is for this machine alone.</summary>
public static class LoopbackOnly
{
    /// <summary>
    /// Refuses to listen anywhere but on loopback or a Unix socket, wherever the address comes from: what the configuration says is refused
    /// here, and whatever else a server is told when it is about to listen.
    /// </summary>
    /// <param name="whatToSet">How to let others in, as the end of a sentence.</param>
    /// <exception cref="ListenRefusedException">The configuration names another address.</exception>
    public static void AddLoopbackOnly(this IHostApplicationBuilder builder, string whatToSet)
    {
        foreach (var (setting, address) in Configured(builder.Configuration))
            if (!IsLoopback(address))
                throw new ListenRefusedException($"{setting}={address}", whatToSet);

        // HTTP/3 listens by another way, which nobody needs on loopback.
        builder.Services.RemoveAll<IMultiplexedConnectionListenerFactory>();
        builder.Services.RemoveAll<IConnectionListenerFactory>();
        builder.Services.AddSingleton<IConnectionListenerFactory>(services => new Listeners(
            new SocketTransportFactory(services.GetRequiredService<IOptions<SocketTransportOptions>>(), services.GetRequiredService<ILoggerFactory>()), whatToSet));
    }

    static IEnumerable<(string Setting, string Address)> Configured(IConfiguration configuration)
    {
        foreach (var address in (configuration["urls"] ?? "").Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
            yield return ("Urls", address);
        foreach (var endpoint in configuration.GetSection("Kestrel:Endpoints").GetChildren())
            if (endpoint["Url"] is { Length: > 0 } address)
                yield return ($"Kestrel:Endpoints:{endpoint.Key}:Url", address);
    }

    // A name that is not localhost stands for every address of the machine.
    static bool IsLoopback(string address)
    {
        BindingAddress parsed;
        try
        {
            parsed = BindingAddress.Parse(address);
        }
        catch (FormatException)
        {
            // The server says what is wrong with it.
            return true;
        }

        return parsed.IsUnixPipe || parsed.Host.Equals("localhost", StringComparison.OrdinalIgnoreCase)
            || (IPAddress.TryParse(parsed.Host, out var ip) && IPAddress.IsLoopback(ip));
    }

    sealed class Listeners(SocketTransportFactory sockets, string whatToSet) : IConnectionListenerFactory
    {
        public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default) =>
            endpoint is UnixDomainSocketEndPoint || (endpoint is IPEndPoint ip && IPAddress.IsLoopback(ip.Address))
                ? sockets.BindAsync(endpoint, cancellationToken)
                : throw new ListenRefusedException($"{endpoint}", whatToSet);
    }
}

public sealed class ListenRefusedException(string address, string whatToSet)
    : IOException($"This host will not listen on {address}: nobody has to say who they are, so it is for this machine alone. Listen on 127.0.0.1, or {whatToSet}.");
