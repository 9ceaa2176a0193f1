using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;
using Standalone;

namespace Support;

/// <summary>
/// A RabbitMQ of a test's own on 127.0.0.1, with its own folder, that can be stopped, killed and started again. It is driven through its
/// Erlang shell, which answers in milliseconds where <c>rabbitmqctl</c> takes seconds, and which ends with the test process.
/// </summary>
public sealed partial class RabbitMqProcess : IAsyncDisposable
{
    const string Program = "/usr/lib/rabbitmq/bin/rabbitmq-server";
    const string Prefix = "sagas-test-rabbitmq-";
    static readonly TimeSpan StartLimit = TimeSpan.FromMinutes(3);
    static readonly TimeSpan StopLimit = TimeSpan.FromMinutes(1);
    static int _ports = Random.Shared.Next(20_000, 28_000);

    readonly DataFolder _folder;
    readonly Process _portMapper;
    readonly int _portMapperPort = FreePort();
    readonly int _distributionPort = FreePort();
    readonly StringBuilder _output = new();
    readonly Dictionary<int, TaskCompletionSource<string>> _questions = [];
    Process? _broker;
    int _asked;
    int _virtualHosts;

    RabbitMqProcess(DataFolder folder)
    {
        _folder = folder;
        Certificates = TestCertificates.Create(folder.Path, "localhost");
        _portMapper = Launch("epmd", ["-port", $"{_portMapperPort}", "-address", "127.0.0.1"]);
    }

    public int Port { get; } = FreePort();

    /// <summary>Takes encrypted connections to <c>localhost</c>.</summary>
    public int TlsPort { get; } = FreePort();

    public string Username { get; } = "sagas";

    public string Password { get; } = Guid.CreateVersion7().ToString("N");

    public TestCertificates Certificates { get; }

    /// <summary>Starts a new one and waits until it answers.</summary>
    public static async Task<RabbitMqProcess> StartNewAsync()
    {
        if (!File.Exists(Program))
            throw new InvalidOperationException($"These tests need RabbitMQ, and there is no {Program}: install rabbitmq-server (Debian, Ubuntu: apt-get install rabbitmq-server).");
        foreach (var stale in Directory.GetDirectories(Path.GetTempPath(), Prefix + "*"))
            Clean(stale);

        var process = new RabbitMqProcess(DataFolder.Open(Path.Combine(Path.GetTempPath(), Prefix + Guid.CreateVersion7().ToString("N"))));
        try
        {
            process.Configure();
            await process.StartAsync();
            return process;
        }
        catch
        {
            process.Destroy();
            throw;
        }
    }

    /// <summary>Starts it again, on the same ports and data, and waits until it answers.</summary>
    public async Task StartAsync()
    {
        var broker = _broker = Launch(Program, ["-oldshell"]);
        await Eventually.TrueAsync(
            async () =>
            {
                if (broker.HasExited)
                    throw new InvalidOperationException($"RabbitMQ ended while it started:\n{Output}");
                return await AnswersAsync();
            },
            "RabbitMQ's answer", StartLimit);
    }

    /// <summary>As an operator stops it.</summary>
    public Task StopAsync() => EndAsync(Signals.Terminate);

    /// <summary>kill -9.</summary>
    public Task KillAsync() => EndAsync(Signals.Kill);

    /// <summary>A fresh, empty virtual host.</summary>
    public async Task<string> CreateVirtualHostAsync()
    {
        var name = $"test-{Interlocked.Increment(ref _virtualHosts)}";
        await EvaluateAsync($"ok = rabbit_vhost:add(<<\"{name}\">>, <<\"{Username}\">>)");
        await EvaluateAsync($"ok = rabbit_auth_backend_internal:set_permissions(<<\"{Username}\">>, <<\"{name}\">>, <<\".*\">>, <<\".*\">>, <<\".*\">>, <<\"{Username}\">>)");
        return name;
    }

    public Task DeleteVirtualHostAsync(string name) => EvaluateAsync($"ok = rabbit_vhost:delete(<<\"{name}\">>, <<\"{Username}\">>)");

    /// <summary>As an operator does; the clients are free to come back.</summary>
    public Task CloseConnectionsAsync(string virtualHost) => EvaluateAsync(
        $"ok = rabbit_connection_tracking:close_connections(rabbit_connection_tracking:list(<<\"{virtualHost}\">>), \"closed by a test\", 0)");

    /// <summary>What a host needs to use it.</summary>
    public IReadOnlyDictionary<string, string?> Settings(string virtualHost) => new Dictionary<string, string?>
    {
        ["Messaging:Transport"] = "RabbitMq",
        ["Messaging:RabbitMq:Host"] = "127.0.0.1",
        ["Messaging:RabbitMq:Port"] = $"{Port}",
        ["Messaging:RabbitMq:VirtualHost"] = virtualHost,
        ["Messaging:RabbitMq:Username"] = Username,
        ["Messaging:RabbitMq:Password"] = Password,
    };

    /// <summary>Name and type of each queue, such as <c>classic</c> or <c>quorum</c>.</summary>
    public async Task<IReadOnlyDictionary<string, string>> QueuesAsync(string virtualHost)
    {
        var answer = await EvaluateAsync(
            $"[{{list_to_atom(binary_to_list(element(4, amqqueue:get_name(Q)))), amqqueue:get_type(Q)}} || Q <- rabbit_amqqueue:list(<<\"{virtualHost}\">>)]");
        return QueuePattern().Matches(answer).ToDictionary(m => m.Groups["name"].Value, m => m.Groups["type"].Value);
    }

    /// <summary>Messages in a queue that no consumer holds.</summary>
    public async Task<int> ReadyAsync(string virtualHost, string queue) => int.Parse(await EvaluateAsync(
        $"begin {{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"{virtualHost}\">>, queue, <<\"{queue}\">>)), proplists:get_value(messages_ready, rabbit_amqqueue:info(Q, [messages_ready])) end"));

    /// <summary>Prefetch of each consumer, by queue.</summary>
    public async Task<ILookup<string, int>> PrefetchAsync(string virtualHost)
    {
        var answer = await EvaluateAsync(
            $"[{{list_to_atom(binary_to_list(element(4, proplists:get_value(queue_name, C)))), proplists:get_value(prefetch_count, C)}} || C <- rabbit_amqqueue:consumers_all(<<\"{virtualHost}\">>)]");
        return QueuePattern().Matches(answer).ToLookup(m => m.Groups["name"].Value, m => int.Parse(m.Groups["type"].Value));
    }

    /// <summary>The value of an Erlang expression in the broker, on one line.</summary>
    public async Task<string> EvaluateAsync(string expression)
    {
        var question = Interlocked.Increment(ref _asked);
        var answer = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_questions)
            _questions.Add(question, answer);
        var shell = (_broker ?? throw new InvalidOperationException("RabbitMQ is not running")).StandardInput;
        // A fun, because the shell remembers variables.
        await shell.WriteLineAsync($"io:format(\"[[~b ~0tp]]~n\", [{question}, (catch (fun() -> {expression} end)())]).");
        await shell.FlushAsync();
        var value = await answer.Task.WaitAsync(StopLimit);
        return value.StartsWith("{'EXIT',", StringComparison.Ordinal) ? throw new InvalidOperationException($"{expression}: {value}") : value;
    }

    /// <summary>Leaves nothing running and nothing behind.</summary>
    public void Destroy()
    {
        // Both first: whoever ends the test process may not wait for the rest.
        Process[] processes = _broker is null ? [_portMapper] : [_broker, _portMapper];
        foreach (var process in processes)
            process.Kill();
        foreach (var process in processes)
        {
            process.WaitForExit(StopLimit);
            process.Dispose();
        }

        Directory.Delete(_folder.Path, recursive: true);
        _folder.Dispose();
    }

    public ValueTask DisposeAsync()
    {
        Destroy();
        return ValueTask.CompletedTask;
    }

    string Output
    {
        get
        {
            lock (_output)
                return _output.ToString();
        }
    }

    async Task EndAsync(int signal)
    {
        var broker = _broker ?? throw new InvalidOperationException("RabbitMQ is not running");
        Signals.Send(broker.Id, signal);
        await broker.WaitForExitAsync().WaitAsync(StopLimit);
        broker.Dispose();
        _broker = null;
    }

    async Task<bool> AnswersAsync()
    {
        try
        {
            var factory = new ConnectionFactory { HostName = "127.0.0.1", Port = Port, UserName = Username, Password = Password };
            await using var connection = await factory.CreateConnectionAsync();
            return connection.IsOpen;
        }
        catch (BrokerUnreachableException)
        {
            return false;
        }
    }

    void Configure()
    {
        File.WriteAllText(
            Path.Combine(_folder.Path, "rabbitmq.conf"),
            $"""
            listeners.tcp.1 = 127.0.0.1:{Port}
            listeners.ssl.1 = 127.0.0.1:{TlsPort}
            ssl_options.cacertfile = {Certificates.AuthorityFile}
            ssl_options.certfile = {Certificates.CertificateFile}
            ssl_options.keyfile = {Certificates.KeyFile}
            default_user = {Username}
            default_pass = {Password}
            vm_memory_high_watermark.absolute = 512MB
            disk_free_limit.absolute = 50MB
            raft.wal_max_size_bytes = 33554432
            log.console = false

            """);
        File.WriteAllText(Path.Combine(_folder.Path, "enabled_plugins"), "[].\n");
        File.WriteAllText(Path.Combine(_folder.Path, "rabbitmq-env.conf"), "");
    }

    Process Launch(string program, string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = _folder.Path,
        };
        foreach (var inherited in start.Environment.Keys.Where(k => k.StartsWith("RABBITMQ_", StringComparison.Ordinal) || k.StartsWith("ERL_", StringComparison.Ordinal)).ToList())
            start.Environment.Remove(inherited);
        foreach (var (name, value) in Environment())
            start.Environment[name] = value;

        var process = new Process { StartInfo = start };
        process.OutputDataReceived += (_, line) => Hear(line.Data);
        process.ErrorDataReceived += (_, line) => Hear(line.Data);
        process.Start();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return process;
    }

    Dictionary<string, string> Environment() => new()
    {
        // The cookie is there.
        ["HOME"] = _folder.Path,
        ["RABBITMQ_NODENAME"] = "sagas@localhost",
        ["RABBITMQ_NODE_IP_ADDRESS"] = "127.0.0.1",
        ["RABBITMQ_NODE_PORT"] = $"{Port}",
        ["RABBITMQ_DIST_PORT"] = $"{_distributionPort}",
        ["ERL_EPMD_PORT"] = $"{_portMapperPort}",
        ["ERL_EPMD_ADDRESS"] = "127.0.0.1",
        ["RABBITMQ_MNESIA_BASE"] = Path.Combine(_folder.Path, "mnesia"),
        ["RABBITMQ_LOG_BASE"] = Path.Combine(_folder.Path, "log"),
        ["RABBITMQ_CONFIG_FILE"] = Path.Combine(_folder.Path, "rabbitmq"),
        ["RABBITMQ_CONF_ENV_FILE"] = Path.Combine(_folder.Path, "rabbitmq-env.conf"),
        ["RABBITMQ_ENABLED_PLUGINS_FILE"] = Path.Combine(_folder.Path, "enabled_plugins"),
        ["RABBITMQ_PID_FILE"] = Path.Combine(_folder.Path, "pid"),
        // Without busy waits: two cores serve the tests too.
        ["RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS"] = "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none",
        // The shell takes the script's process, so that signals reach it.
        ["RABBITMQ_ALLOW_INPUT"] = "1",
    };

    void Hear(string? line)
    {
        if (line is null)
            return;
        lock (_output)
            _output.AppendLine(line);
        if (AnswerPattern().Match(line) is not { Success: true } answer)
            return;
        lock (_questions)
        {
            if (_questions.Remove(int.Parse(answer.Groups["question"].Value), out var question))
                question.TrySetResult(answer.Groups["value"].Value);
        }
    }

    static void Clean(string stale)
    {
        try
        {
            using var folder = DataFolder.Open(stale);
            foreach (var pid in ProcessesOf(stale))
                Signals.Send(pid, Signals.Kill);
            Directory.Delete(stale, recursive: true);
        }
        catch (Exception e) when (e is DataFolderInUseException or IOException or UnauthorizedAccessException)
        {
            // Another test process's, running or cleaning as we are.
        }
    }

    static IEnumerable<int> ProcessesOf(string folder)
    {
        foreach (var process in Directory.GetDirectories("/proc").Where(p => char.IsAsciiDigit(Path.GetFileName(p)[0])))
        {
            var home = "";
            try
            {
                home = File.ReadAllText(Path.Combine(process, "environ")).Split('\0').FirstOrDefault(v => v.StartsWith("HOME=", StringComparison.Ordinal));
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // Gone, or somebody else's.
            }

            if (home == $"HOME={folder}")
                yield return int.Parse(Path.GetFileName(process));
        }
    }

    // Below the range from which the system serves itself: while the broker is stopped, no other connection may take its port,
    // nor one to the port connect to itself.
    static int FreePort()
    {
        while (true)
        {
            var port = Interlocked.Increment(ref _ports);
            try
            {
                using var probe = new TcpListener(IPAddress.Loopback, port);
                probe.Start();
                return port;
            }
            catch (SocketException)
            {
                // Taken.
            }
        }
    }

    [GeneratedRegex(@"\[\[(?<question>\d+) (?<value>.*)\]\]")]
    private static partial Regex AnswerPattern();

    [GeneratedRegex(@"\{'?(?<name>[^',{]+)'?,(rabbit_)?(?<type>\w+?)(_queue)?\}")]
    private static partial Regex QueuePattern();
}
