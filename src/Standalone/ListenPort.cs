using System.Net;
using System.Net.Sockets;

namespace Standalone;

static class ListenPort
{
    const int Usual = 8080;
    const int Tries = 100;

    /// <summary>The port asked for, else 8080 or the next free one.</summary>
    public static int Choose(IPAddress address, int? asked)
    {
        if (asked is { } port)
            return port == 0 || IsFree(address, port) ? port : throw new StandaloneUsageException($"Port {port} on {address} is taken. Choose another with --port.");
        return Enumerable.Range(Usual, Tries).Cast<int?>().FirstOrDefault(candidate => IsFree(address, candidate!.Value))
            ?? throw new StandaloneUsageException($"Ports {Usual} to {Usual + Tries - 1} on {address} are taken. Choose another with --port.");
    }

    public static bool IsFree(IPAddress address, int port)
    {
        try
        {
            using var probe = new TcpListener(address, port);
            probe.Start();
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
