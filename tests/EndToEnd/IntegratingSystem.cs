using System.Diagnostics;
using System.Text;
using System.Text.Json;
using Support;

namespace EndToEnd;

/// <param name="Type">The header.</param>
/// <param name="Body">Parsed as any JSON is.</param>
sealed record HeardEvent(string Exchange, string? MessageId, string? ContentType, string? Type, JsonElement Body)
{
    public string? Reference => Body.TryGetProperty("reference", out var reference) ? reference.GetString() : null;
}

/// <summary>Somebody else's program, on a client library that nobody here wrote.</summary>
sealed class IntegratingSystem : IAsyncDisposable
{
    readonly Process _node;
    readonly Lock _lock = new();
    readonly List<HeardEvent> _heard = [];
    readonly StringBuilder _errors = new();
    readonly TaskCompletionSource _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    int _published;
    int _asked;

    IntegratingSystem(Process node)
    {
        _node = node;
        node.OutputDataReceived += (_, line) => Hear(line.Data);
        node.ErrorDataReceived += (_, line) => Complain(line.Data);
    }

    public IReadOnlyList<HeardEvent> Heard
    {
        get
        {
            lock (_lock)
                return [.. _heard];
        }
    }

    public static async Task<IntegratingSystem> StartAsync(string url)
    {
        var start = new ProcessStartInfo("node", [Path.Combine(PlatformFixture.Samples, "..", "tests", "EndToEnd", "integrator.mjs"), url])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        var system = new IntegratingSystem(new Process { StartInfo = start });
        system._node.Start();
        system._node.BeginOutputReadLine();
        system._node.BeginErrorReadLine();
        await system.OnceAsync(() => system._ready.Task.IsCompleted, "its connection");
        return system;
    }

    /// <summary>Publishes, and waits until the broker has it.</summary>
    /// <param name="options">Of amqplib, such as <c>messageId</c>.</param>
    public async Task PublishAsync(byte[] body, object? options = null)
    {
        var wanted = ++_asked;
        await _node.StandardInput.WriteLineAsync(JsonSerializer.Serialize(new { body = Convert.ToBase64String(body), options }));
        await _node.StandardInput.FlushAsync();
        await OnceAsync(() => Volatile.Read(ref _published) >= wanted, "the broker's word that it has the message");
    }

    public Task PublishAsync(object body, object? options = null) => PublishAsync(JsonSerializer.SerializeToUtf8Bytes(body), options);

    public Task PublishTextAsync(string body, object? options = null) => PublishAsync(Encoding.UTF8.GetBytes(body), options);

    /// <summary>The first event of the type about what it calls so.</summary>
    public async Task<HeardEvent> EventAsync(string reference, string type)
    {
        HeardEvent? found = null;
        await OnceAsync(() => (found = Heard.FirstOrDefault(e => e.Reference == reference && e.Type == type)) is not null, $"{type} of {reference}");
        return found!;
    }

    /// <summary>Ends it; its queue goes with it.</summary>
    public async Task StopAsync()
    {
        if (!_node.HasExited)
            _node.Kill();
        await _node.WaitForExitAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _node.Dispose();
    }

    async Task OnceAsync(Func<bool> condition, string what)
    {
        try
        {
            await Eventually.TrueAsync(() => condition() || (_node.HasExited ? throw new InvalidOperationException($"node ended:\n{Errors()}") : false), what, TimeSpan.FromMinutes(2));
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException($"{e.Message}. Heard: {string.Join('\n', Heard)}\n{Errors()}", e);
        }
    }

    string Errors()
    {
        lock (_lock)
            return _errors.ToString();
    }

    void Complain(string? line)
    {
        lock (_lock)
            _errors.AppendLine(line);
    }

    void Hear(string? line)
    {
        if (line is null)
            return;
        var said = JsonSerializer.Deserialize<JsonElement>(line);
        if (said.ValueKind == JsonValueKind.String)
        {
            if (said.GetString() == "ready")
                _ready.TrySetResult();
            else
                Interlocked.Increment(ref _published);
            return;
        }

        var heard = new HeardEvent(
            said.GetProperty("exchange").GetString()!, Text(said, "messageId"), Text(said, "contentType"), Text(said, "type"),
            JsonSerializer.Deserialize<JsonElement>(said.GetProperty("text").GetString()!));
        lock (_lock)
            _heard.Add(heard);
    }

    static string? Text(JsonElement element, string name) => element.TryGetProperty(name, out var text) ? text.GetString() : null;
}
