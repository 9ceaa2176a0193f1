using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace Support;

/// <summary>A way to a server of this machine that can be cut, and opened again on the same port. While it is cut, connections are refused at once.</summary>
public sealed class Relay : IDisposable
{
    readonly IPEndPoint _server;
    readonly ConcurrentDictionary<TcpClient, byte> _open = [];
    TcpListener? _listener;
    int _connections;

    public Relay(Uri server)
    {
        _server = new IPEndPoint(IPAddress.Loopback, server.Port);
        Port = Listen(0);
    }

    public int Port { get; }

    /// <summary>How many came through so far.</summary>
    public int Connections => Volatile.Read(ref _connections);

    public void Open() => Listen(Port);

    public void Cut()
    {
        _listener?.Dispose();
        _listener = null;
        foreach (var client in _open.Keys)
            client.Dispose();
    }

    public void Dispose() => Cut();

    int Listen(int port)
    {
        var listener = new TcpListener(IPAddress.Loopback, port);
        listener.Server.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        listener.Start();
        _listener = listener;
        _ = AcceptAsync(listener);
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    async Task AcceptAsync(TcpListener listener)
    {
        while (true)
        {
            try
            {
                var client = await listener.AcceptTcpClientAsync();
                Interlocked.Increment(ref _connections);
                _ = CarryAsync(client);
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException or InvalidOperationException)
            {
                return;
            }
        }
    }

    async Task CarryAsync(TcpClient client)
    {
        using var server = new TcpClient();
        _open[client] = _open[server] = 0;
        try
        {
            await server.ConnectAsync(_server);
            var (here, there) = (client.GetStream(), server.GetStream());
            await Task.WhenAny(here.CopyToAsync(there), there.CopyToAsync(here));
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException or InvalidOperationException)
        {
            // Either side is gone.
        }
        finally
        {
            client.Dispose();
            _open.TryRemove(client, out _);
            _open.TryRemove(server, out _);
        }
    }
}
