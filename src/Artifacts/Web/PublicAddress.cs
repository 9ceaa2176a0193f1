using System.Net;
using System.Net.Sockets;

namespace Artifacts.Web;

/// <summary>Tells addresses of the public internet from all others.</summary>
static class PublicAddress
{
    static readonly IPNetwork[] Barred =
    [
        .. new[]
        {
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
            "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
            // Multicast, reserved, broadcast.
            "224.0.0.0/3",
            // Protocol assignments with Teredo, documentation, 6to4: the last ones carry an IPv4 address of anybody's choice.
            "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
        }.Select(network => IPNetwork.Parse(network)),
    ];

    // All that is given out as global unicast. Loopback, link-local, unique local, multicast, mapped and translated IPv4 lie outside.
    static readonly IPNetwork Global = IPNetwork.Parse("2000::/3");

    // Azure's own, which answers every virtual machine and is a public address by its number.
    static readonly IPAddress AzureHost = new([168, 63, 129, 16]);

    public static bool Is(IPAddress address) =>
        !address.Equals(AzureHost) && !address.IsIPv4MappedToIPv6 && !Barred.Any(network => network.BaseAddress.AddressFamily == address.AddressFamily && network.Contains(address))
        && (address.AddressFamily == AddressFamily.InterNetwork || (address.AddressFamily == AddressFamily.InterNetworkV6 && Global.Contains(address)));
}
