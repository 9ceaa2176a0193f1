using System.Net.Sockets;
using System.Text;

namespace Api.Tests.Edge;

/// <summary>Bytes to a server, as no client of good manners would send them.</summary>
sealed class RawConnection : IAsyncDisposable
{
    readonly TcpClient _client;
    readonly Stream _stream;
    readonly CancellationTokenSource _limit = new(TimeSpan.FromSeconds(60));

    RawConnection(TcpClient client) => (_client, _stream) = (client, client.GetStream());

    public static async Task<RawConnection> OpenAsync(Uri server)
    {
        var client = new TcpClient();
        await client.ConnectAsync(server.Host, server.Port);
        return new RawConnection(client);
    }

    /// <returns>Whether the other side still took it.</returns>
    public async Task<bool> SendAsync(string text)
    {
        try
        {
            await _stream.WriteAsync(Encoding.ASCII.GetBytes(text), _limit.Token);
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    /// <summary>Until the other side closes.</summary>
    public Task<string> ReadToEndAsync() => ReadUntilAsync(_ => false);

    /// <summary>An answer's head and the beginning of its body.</summary>
    public Task<string> ReadHeadAsync() => ReadUntilAsync(text => text.Contains("\r\n\r\n", StringComparison.Ordinal));

    async Task<string> ReadUntilAsync(Func<string, bool> isEnough)
    {
        var text = new StringBuilder();
        var buffer = new byte[4096];
        try
        {
            while (!isEnough(text.ToString()) && await _stream.ReadAsync(buffer, _limit.Token) is > 0 and var read)
                text.Append(Encoding.ASCII.GetString(buffer, 0, read));
        }
        catch (IOException)
        {
            // A reset is an end too.
        }

        return text.ToString();
    }

    public ValueTask DisposeAsync()
    {
        _client.Dispose();
        _limit.Dispose();
        return ValueTask.CompletedTask;
    }
}
