using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace Benchmarks;

/// <summary>Clients that do their worst, in a process of their own. Says <see cref="Ready"/> once they are connected, and counts at the end.</summary>
sealed class HostileClients(Uri server, string key) : IDisposable
{
    internal const string Name = "hostile-clients";
    internal const string KeyVariable = "SAGAS_BENCHMARK_KEY";
    internal const string Ready = "ready";

    const int Idle = 1_000;
    const int Slow = 200;
    const int Senders = 4;
    const int Rate = 1_000;
    const int MostUnanswered = 500;
    const long Gigabyte = 1_000_000_000;
    const string Jobs = "api/v1/batch-inference/jobs";

    readonly ConcurrentDictionary<string, long> _counts = [];
    readonly HttpClient _client = new() { BaseAddress = server, DefaultRequestHeaders = { { "X-Api-Key", key } } };
    readonly byte[] _deep = Encoding.ASCII.GetBytes($"{{\"a\":{new string('[', 10_000)}{new string(']', 10_000)}}}");
    int _unanswered;

    internal static async Task<int> RunAsync(Uri server, int seconds)
    {
        using var clients = new HostileClients(server, Environment.GetEnvironmentVariable(KeyVariable) ?? throw new InvalidOperationException($"{KeyVariable} is not set."));
        await clients.RunAsync(TimeSpan.FromSeconds(seconds));
        Console.WriteLine(JsonSerializer.Serialize(clients._counts));
        return 0;
    }

    async Task RunAsync(TimeSpan time)
    {
        var idle = await ConnectAsync(Idle, $"GET /health/live HTTP/1.1\r\nHost: {server.Authority}\r\n\r\n");
        var slow = await ConnectAsync(Slow, $"GET /{Jobs} HTTP/1.1\r\nHost: {server.Authority}\r\nX-Slow: ");
        Console.WriteLine(Ready);
        using var end = new CancellationTokenSource(time);
        await Task.WhenAll([
            DripAsync(slow, end.Token), FloodAsync(end.Token), .. Enumerable.Range(0, Senders).Select(n => SendLargeAsync(n % 2 == 0, end.Token)), SendDeepAsync(end.Token),
        ]);
        _counts["idle connections opened"] = idle.Count;
        _counts["idle connections still open at the end"] = idle.Count(IsOpen);
        _counts["slow connections opened"] = slow.Count;
        foreach (var connection in idle.Concat(slow))
            connection.Dispose();
    }

    async Task<List<Socket>> ConnectAsync(int count, string first)
    {
        var connections = new List<Socket>();
        for (var i = 0; i < count; i++)
        {
            var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(server.Host, server.Port);
            await socket.SendAsync(Encoding.ASCII.GetBytes(first));
            connections.Add(socket);
        }

        return connections;
    }

    // What was answered may lie there unread; nothing to read is an end.
    static bool IsOpen(Socket socket)
    {
        var buffer = new byte[64 * 1024];
        try
        {
            while (socket.Poll(0, SelectMode.SelectRead))
                if (socket.Receive(buffer) == 0)
                    return false;
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    /// <summary>A byte of a head each second. One that is cut off comes again.</summary>
    async Task DripAsync(List<Socket> connections, CancellationToken end)
    {
        using var second = new PeriodicTimer(TimeSpan.FromSeconds(1));
        while (await TickAsync(second, end))
            for (var i = 0; i < connections.Count; i++)
            {
                if (IsOpen(connections[i]))
                {
                    await connections[i].SendAsync("x"u8.ToArray());
                    continue;
                }

                Count("slow connections cut off");
                connections[i].Dispose();
                connections[i] = (await ConnectAsync(1, $"GET /{Jobs} HTTP/1.1\r\nHost: {server.Authority}\r\nX-Slow: "))[0];
            }
    }

    async Task FloodAsync(CancellationToken end)
    {
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
        var requests = new List<Task>();
        while (await TickAsync(pace, end))
            for (var i = 0; i < Rate / 100; i++)
                if (Volatile.Read(ref _unanswered) < MostUnanswered)
                    requests.Add(AskAsync("requests", () => new HttpRequestMessage(HttpMethod.Get, Jobs), end));
                else
                    Count("requests not sent, as too many were unanswered");
        await Task.WhenAll(requests);
    }

    async Task SendLargeAsync(bool isChunked, CancellationToken end)
    {
        while (!end.IsCancellationRequested)
            await AskAsync(isChunked ? "1 GB chunked" : "1 GB with its length", () => Post(new Zeros(isChunked ? null : Gigabyte), isChunked), end);
    }

    async Task SendDeepAsync(CancellationToken end)
    {
        while (!end.IsCancellationRequested)
            await AskAsync("10,000 levels of JSON", () => Post(new ByteArrayContent(_deep), false), end);
    }

    static HttpRequestMessage Post(HttpContent content, bool isChunked)
    {
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        return new HttpRequestMessage(HttpMethod.Post, Jobs) { Content = content, Headers = { TransferEncodingChunked = isChunked } };
    }

    async Task AskAsync(string what, Func<HttpRequestMessage> ask, CancellationToken end)
    {
        Interlocked.Increment(ref _unanswered);
        try
        {
            using var request = ask();
            using var answer = await _client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, end);
            Count($"{what}: {(int)answer.StatusCode}");
        }
        catch (HttpRequestException)
        {
            Count($"{what}: connection closed");
        }
        catch (OperationCanceledException)
        {
            Count($"{what}: unanswered at the end");
        }
        finally
        {
            Interlocked.Decrement(ref _unanswered);
        }
    }

    static async Task<bool> TickAsync(PeriodicTimer timer, CancellationToken end)
    {
        try
        {
            return await timer.WaitForNextTickAsync(end);
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    void Count(string what) => _counts.AddOrUpdate(what, 1, (_, n) => n + 1);

    public void Dispose() => _client.Dispose();

    /// <param name="length">What it says it is; null says nothing.</param>
    sealed class Zeros(long? length) : HttpContent
    {
        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            var buffer = new byte[64 * 1024];
            for (var left = length ?? Gigabyte; left > 0; left -= buffer.Length)
                await stream.WriteAsync(buffer.AsMemory(0, (int)Math.Min(left, buffer.Length)));
        }

        protected override bool TryComputeLength(out long computed)
        {
            computed = length ?? 0;
            return length is not null;
        }
    }
}
