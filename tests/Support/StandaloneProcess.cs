using System.Diagnostics;
using System.Text;

namespace Support;

/// <summary>Standalone as its users run it: a process of its own, which a test may kill.</summary>
public sealed class StandaloneProcess : IAsyncDisposable
{
    const string Announcement = "Ready on ";
    static readonly TimeSpan StopLimit = TimeSpan.FromSeconds(90);

    readonly Process _process;
    readonly StringBuilder _output = new();
    readonly TaskCompletionSource<Uri> _address = new(TaskCreationOptions.RunContinuationsAsynchronously);

    StandaloneProcess(Process process, string dataFolder)
    {
        _process = process;
        DataFolder = dataFolder;
        process.EnableRaisingEvents = true;
        process.Exited += (_, _) => _address.TrySetException(new InvalidOperationException($"Standalone ended before it was ready:\n{Output}"));
        process.OutputDataReceived += (_, line) => Hear(line.Data);
        process.ErrorDataReceived += (_, line) => Hear(line.Data);
    }

    public string DataFolder { get; }

    /// <summary>Of the process started; where a launcher runs it, the launcher must exec.</summary>
    public int ProcessId => _process.Id;

    public HttpClient Http { get; private set; } = null!;

    /// <summary>Standard output and error so far.</summary>
    public string Output
    {
        get
        {
            lock (_output)
                return _output.ToString();
        }
    }

    /// <summary>Starts and waits until it is ready.</summary>
    public static async Task<StandaloneProcess> StartAsync(StandaloneLaunch launch, CancellationToken cancellationToken = default)
    {
        var standalone = Launch(launch);
        try
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            limit.CancelAfter(launch.ReadyWithin);
            standalone.Http = new HttpClient { BaseAddress = await standalone._address.Task.WaitAsync(limit.Token) };
            await Eventually.TrueAsync(async () => (await standalone.Http.GetAsync("/health/ready", limit.Token)).IsSuccessStatusCode, "/health/ready", launch.ReadyWithin);
            return standalone;
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            await standalone.DisposeAsync();
            throw new TimeoutException($"Standalone was not ready within {launch.ReadyWithin}:\n{standalone.Output}", e);
        }
        catch
        {
            await standalone.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts one that is expected to end by itself.</summary>
    public static async Task<(int ExitCode, string Output)> RunAsync(StandaloneLaunch launch, CancellationToken cancellationToken = default)
    {
        var standalone = Launch(launch);
        using var process = standalone._process;
        try
        {
            await process.WaitForExitAsync(cancellationToken);
            return (process.ExitCode, standalone.Output);
        }
        finally
        {
            process.Kill();
        }
    }

    /// <summary>kill -9. Its PostgreSQL lives on.</summary>
    public async Task KillAsync()
    {
        Signals.Send(ProcessId, Signals.Kill);
        await _process.WaitForExitAsync();
    }

    /// <summary>SIGTERM, as systemd, docker and kubernetes do.</summary>
    /// <returns>The exit code.</returns>
    public async Task<int> StopAsync(int signal = Signals.Terminate, CancellationToken cancellationToken = default)
    {
        Signals.Send(ProcessId, signal);
        try
        {
            await _process.WaitForExitAsync(cancellationToken).WaitAsync(StopLimit, cancellationToken);
            return _process.ExitCode;
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException($"Standalone did not end within {StopLimit} of signal {signal}:\n{Output}", e);
        }
    }

    /// <summary>Leaves nothing running, PostgreSQL included.</summary>
    public async ValueTask DisposeAsync()
    {
        Http?.Dispose();
        if (!_process.HasExited)
            await KillAsync();
        _process.Dispose();
        await PostgresProcess.KillAsync(DataFolder);
    }

    static StandaloneProcess Launch(StandaloneLaunch launch)
    {
        string[] command =
        [
            .. launch.Launcher, Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet", .. launch.Runtime, Path.Combine(AppContext.BaseDirectory, "Standalone.dll"),
            "--data", launch.DataFolder, "--port", $"{launch.Port}", .. launch.Arguments,
        ];
        var start = new ProcessStartInfo(command[0], command[1..])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment = { ["ASPNETCORE_ENVIRONMENT"] = launch.Profile, ["DOTNET_TieredPGO"] = "0" },
        };
        foreach (var (name, value) in launch.Environment)
            start.Environment[name] = value;

        var standalone = new StandaloneProcess(new Process { StartInfo = start }, launch.DataFolder);
        standalone._process.Start();
        standalone._process.BeginOutputReadLine();
        standalone._process.BeginErrorReadLine();
        return standalone;
    }

    void Hear(string? line)
    {
        if (line is null)
            return;
        lock (_output)
            _output.AppendLine(line);
        if (line.StartsWith(Announcement, StringComparison.Ordinal))
            _address.TrySetResult(new Uri(line[Announcement.Length..].Split(' ')[0]));
    }
}
