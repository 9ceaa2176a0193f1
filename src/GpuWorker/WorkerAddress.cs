using System.Net;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.Options;

namespace GpuWorker;

/// <summary>Where the API reaches this worker, for one in a process of its own.</summary>
public sealed class WorkerAddress(IServer server, IOptions<GpuWorkerOptions> options)
{
    /// <summary>What was set, or what the server listens on. Null before it does.</summary>
    public Uri? Find()
    {
        if (options.Value.Address is { Length: > 0 } set)
            return new Uri(set);
        if (server.Features.Get<IServerAddressesFeature>()?.Addresses.FirstOrDefault() is not { } listens || !Uri.TryCreate(listens.Replace("//+", "//0.0.0.0", StringComparison.Ordinal).Replace("//*", "//0.0.0.0", StringComparison.Ordinal), UriKind.Absolute, out var address))
            return null;
        // One that stands for every address of the machine is none to go to.
        return IPAddress.TryParse(address.DnsSafeHost, out var ip) && (ip.Equals(IPAddress.Any) || ip.Equals(IPAddress.IPv6Any))
            ? new UriBuilder(address) { Host = Environment.MachineName }.Uri
            : address;
    }
}
