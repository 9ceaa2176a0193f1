using System.Diagnostics;
using System.Net.Sockets;

namespace Benchmarks;

/// <param name="P50">Milliseconds.</param>
/// <param name="P99">Milliseconds.</param>
sealed record LoadResult(double PerSecond, double P50, double P99, int Failed);

/// <summary>HTTP/1.1 with as little work as there can be on this side: requests are bytes made beforehand, answers are read to their length.</summary>
static class Load
{
    /// <summary>Each client asks again when it has its answer.</summary>
    internal static async Task<LoadResult> ClosedAsync(Uri server, byte[][] requests, int clients, TimeSpan time)
    {
        var latencies = new List<double>[clients];
        var failed = 0;
        var since = Stopwatch.StartNew();
        await Task.WhenAll(Enumerable.Range(0, clients).Select(client => Task.Run(async () =>
        {
            using var connection = await Connection.OpenAsync(server);
            var mine = latencies[client] = [];
            for (var i = client; since.Elapsed < time; i += clients)
            {
                var asked = Stopwatch.GetTimestamp();
                if (await connection.AskAsync(requests[i % requests.Length]) == 200)
                    mine.Add(Stopwatch.GetElapsedTime(asked).TotalMilliseconds);
                else
                    Interlocked.Increment(ref failed);
            }
        })));
        var seconds = since.Elapsed.TotalSeconds;
        var all = latencies.SelectMany(one => one).ToList();
        return new LoadResult(all.Count / seconds, Machine.Median(all), Machine.Percentile(all, 0.99), failed);
    }

    /// <summary>At a steady rate, however slow the answers are; over the connections in turn.</summary>
    /// <param name="rate">Requests a second, of all together.</param>
    internal static async Task<LoadResult> OpenAsync(IReadOnlyList<Connection> connections, byte[][] requests, int rate, TimeSpan time)
    {
        var asked = new List<Task<double?>>();
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(5));
        var since = Stopwatch.StartNew();
        while (since.Elapsed < time && await pace.WaitForNextTickAsync())
            // A tick that came late stands for those it swallowed.
            while (asked.Count < since.Elapsed.TotalSeconds * rate)
                asked.Add(AskAsync(connections[asked.Count % connections.Count], requests[asked.Count % requests.Length]));
        var answers = await Task.WhenAll(asked);
        var seconds = since.Elapsed.TotalSeconds;
        var latencies = answers.OfType<double>().ToList();
        return new LoadResult(answers.Length / seconds, Machine.Median(latencies), Machine.Percentile(latencies, 0.99), answers.Count(answer => answer is null));

        static async Task<double?> AskAsync(Connection connection, byte[] request)
        {
            var begun = Stopwatch.GetTimestamp();
            try
            {
                return await connection.AskAsync(request) == 200 ? Stopwatch.GetElapsedTime(begun).TotalMilliseconds : null;
            }
            catch (SocketException)
            {
                return null;
            }
        }
    }

    internal sealed class Connection : IDisposable
    {
        readonly Socket _socket;
        readonly byte[] _buffer = new byte[16 * 1024];

        Connection(Socket socket) => _socket = socket;

        internal static async Task<Connection> OpenAsync(Uri server)
        {
            var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            await socket.ConnectAsync(server.Host, server.Port);
            return new Connection(socket);
        }

        /// <returns>The status; 0 when the connection ended.</returns>
        internal async Task<int> AskAsync(byte[] request)
        {
            await _socket.SendAsync(request);
            var length = 0;
            while (true)
            {
                var read = await _socket.ReceiveAsync(_buffer.AsMemory(length));
                if (read == 0)
                    return 0;
                length += read;
                if (Whole(_buffer.AsSpan(0, length)) is { } status)
                    return status;
            }
        }

        static int? Whole(ReadOnlySpan<byte> answer)
        {
            var end = answer.IndexOf("\r\n\r\n"u8);
            if (end < 0)
                return null;
            var field = answer.IndexOf("Content-Length: "u8);
            var value = answer[(field + 16)..end];
            var length = int.Parse(value[..(value.IndexOf((byte)'\r') is >= 0 and var cut ? cut : value.Length)]);
            return answer.Length >= end + 4 + length ? int.Parse(answer.Slice(9, 3)) : null;
        }

        public void Dispose() => _socket.Dispose();
    }
}

/// <summary>In a process of its own: connections that stay open, over which requests go at a steady rate.</summary>
static class ManyConnections
{
    internal const string Name = "many-connections";
    const int Wanted = 10_000;
    const int OpeningAtOnce = 100;

    internal static async Task<int> RunAsync(Uri server, int seconds, int rate)
    {
        var connections = new List<Load.Connection>();
        try
        {
            while (connections.Count < Wanted)
                connections.AddRange(await Task.WhenAll(Enumerable.Range(0, OpeningAtOnce).Select(_ => Load.Connection.OpenAsync(server))));
        }
        catch (SocketException e)
        {
            Console.WriteLine($"No more than {connections.Count:N0} connections: {e.Message}");
        }

        var result = await Load.OpenAsync(connections, OnlineBenchmark.Requests("/score"), rate, TimeSpan.FromSeconds(seconds));
        Console.WriteLine($"{connections.Count:N0} open connections, {result.PerSecond:N0} requests/s for {seconds} s: "
            + $"p50 {result.P50:0.0} ms, p99 {result.P99:0.0} ms, {result.Failed:N0} failed");
        foreach (var connection in connections)
            connection.Dispose();
        return 0;
    }
}
