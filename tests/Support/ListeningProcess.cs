using System.Diagnostics;
using System.Text;

namespace Support;

/// <summary>A program of ours in a process of its own, from its start to its end: what it prints, where it listens.</summary>
sealed class ListeningProcess : IAsyncDisposable
{
    static readonly TimeSpan StopLimit = TimeSpan.FromSeconds(90);

    readonly string _name;
    readonly Process _process;
    readonly Func<string, Uri?> _announced;
    readonly StringBuilder _output = new();
    readonly TaskCompletionSource<Uri> _address = new(TaskCreationOptions.RunContinuationsAsynchronously);

    ListeningProcess(string name, Process process, Func<string, Uri?> announced)
    {
        (_name, _process, _announced) = (name, process, announced);
        process.EnableRaisingEvents = true;
        process.Exited += (_, _) => _address.TrySetException(new InvalidOperationException($"{name} ended before it listened:\n{Output}"));
        process.OutputDataReceived += (_, line) => Hear(line.Data);
        process.ErrorDataReceived += (_, line) => Hear(line.Data);
        process.Start();
        ProcessId = process.Id;
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    /// <param name="name">For messages.</param>
    /// <param name="settings">Environment variables.</param>
    /// <param name="announced">The address, if a line of output tells it.</param>
    public static ListeningProcess Start(
        string name, IReadOnlyList<string> command, IEnumerable<KeyValuePair<string, string>> settings, Func<string, Uri?> announced)
    {
        var start = new ProcessStartInfo(command[0], command.Skip(1))
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment = { ["DOTNET_TieredPGO"] = "0" },
        };
        foreach (var (variable, value) in settings)
            start.Environment[variable] = value;
        return new ListeningProcess(name, new Process { StartInfo = start }, announced);
    }

    /// <summary>The <c>dotnet</c> that runs the tests.</summary>
    public static string Dotnet => Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet";

    public int ProcessId { get; }

    /// <summary>Known once it has been announced.</summary>
    public Task<Uri> Address => _address.Task;

    /// <summary>Standard output and error so far.</summary>
    public string Output
    {
        get
        {
            lock (_output)
                return _output.ToString();
        }
    }

    /// <summary>Waits for its end, and kills it when that takes too long.</summary>
    public async Task<(int ExitCode, string Output)> RunAsync(CancellationToken cancellationToken)
    {
        try
        {
            await _process.WaitForExitAsync(cancellationToken);
            return (_process.ExitCode, Output);
        }
        finally
        {
            _process.Kill();
            _process.Dispose();
        }
    }

    /// <summary>kill -9.</summary>
    public async Task KillAsync()
    {
        Signals.Send(ProcessId, Signals.Kill);
        await _process.WaitForExitAsync();
    }

    /// <returns>The exit code.</returns>
    public async Task<int> StopAsync(int signal, CancellationToken cancellationToken)
    {
        Signals.Send(ProcessId, signal);
        try
        {
            await _process.WaitForExitAsync(cancellationToken).WaitAsync(StopLimit, cancellationToken);
            return _process.ExitCode;
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException($"{_name} did not end within {StopLimit} of signal {signal}:\n{Output}", e);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
            await KillAsync();
        _process.Dispose();
    }

    void Hear(string? line)
    {
        if (line is null)
            return;
        lock (_output)
            _output.AppendLine(line);
        if (_announced(line) is { } address)
            _address.TrySetResult(address);
    }
}
