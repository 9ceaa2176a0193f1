using System.Diagnostics;
using System.Text;
using System.Text.RegularExpressions;

namespace Support;

/// <summary>One host of several as its operators run it: a process of its own, which a test may kill.</summary>
public sealed partial class HostProcess : IAsyncDisposable
{
    static readonly TimeSpan StopLimit = TimeSpan.FromSeconds(90);

    readonly Process _process;
    readonly StringBuilder _output = new();
    readonly TaskCompletionSource<Uri> _address = new(TaskCreationOptions.RunContinuationsAsynchronously);

    HostProcess(HostLaunch launch, Process process)
    {
        Launch = launch;
        _process = process;
        process.EnableRaisingEvents = true;
        process.Exited += (_, _) => _address.TrySetException(new InvalidOperationException($"{launch.Host} ended before it listened:\n{Output}"));
        process.OutputDataReceived += (_, line) => Hear(line.Data);
        process.ErrorDataReceived += (_, line) => Hear(line.Data);
    }

    public HostLaunch Launch { get; }

    public int ProcessId { get; private set; }

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

    /// <summary>Starts and waits until it listens.</summary>
    public static async Task<HostProcess> StartAsync(HostLaunch launch)
    {
        var host = Start(launch);
        try
        {
            host.Http = new HttpClient { BaseAddress = await host._address.Task.WaitAsync(launch.ListensWithin) };
            return host;
        }
        catch (Exception e)
        {
            var output = host.Output;
            await host.DisposeAsync();
            throw e is TimeoutException ? new TimeoutException($"{launch.Host} did not listen within {launch.ListensWithin}:\n{output}", e) : e;
        }
    }

    /// <summary>Starts one that is expected to end by itself.</summary>
    public static async Task<(int ExitCode, string Output)> RunAsync(HostLaunch launch)
    {
        var host = Start(launch);
        using var process = host._process;
        try
        {
            await process.WaitForExitAsync().WaitAsync(launch.ListensWithin);
            return (process.ExitCode, host.Output);
        }
        finally
        {
            process.Kill();
        }
    }

    /// <returns>Whether <c>/health/ready</c> says so.</returns>
    public async Task<bool> IsReadyAsync()
    {
        using var answer = await Http.GetAsync("/health/ready");
        return answer.IsSuccessStatusCode;
    }

    /// <exception cref="TimeoutException">It was not in time; says what it answered and printed.</exception>
    public async Task ReadyAsync()
    {
        try
        {
            await Eventually.TrueAsync(IsReadyAsync, $"{Launch.Host} to be ready", TimeSpan.FromMinutes(3));
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException($"{e.Message}\n{await Http.GetStringAsync("/health")}\n{Output}", e);
        }
    }

    /// <summary>kill -9.</summary>
    public async Task KillAsync()
    {
        Signals.Send(ProcessId, Signals.Kill);
        await _process.WaitForExitAsync();
    }

    /// <summary>SIGTERM, as systemd, docker and kubernetes do.</summary>
    /// <returns>The exit code.</returns>
    public async Task<int> StopAsync()
    {
        Signals.Send(ProcessId, Signals.Terminate);
        await _process.WaitForExitAsync().WaitAsync(StopLimit);
        return _process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        Http?.Dispose();
        if (!_process.HasExited)
            await KillAsync();
        _process.Dispose();
    }

    static HostProcess Start(HostLaunch launch)
    {
        var start = new ProcessStartInfo(
            Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet",
            [Path.Combine(AppContext.BaseDirectory, $"{launch.Host}.dll"), "--urls", "http://127.0.0.1:0"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            // Where it listens is asked for: beside the tests lies the configuration of Standalone, which says it in its own way.
            Environment = { ["ASPNETCORE_ENVIRONMENT"] = "Test", ["DOTNET_TieredPGO"] = "0", ["Logging__LogLevel__Microsoft.Hosting.Lifetime"] = "Information" },
        };
        foreach (var (name, value) in launch.Settings)
            start.Environment[name.Replace(":", "__", StringComparison.Ordinal)] = value;

        var host = new HostProcess(launch, new Process { StartInfo = start });
        host._process.Start();
        host.ProcessId = host._process.Id;
        host._process.BeginOutputReadLine();
        host._process.BeginErrorReadLine();
        return host;
    }

    void Hear(string? line)
    {
        if (line is null)
            return;
        lock (_output)
            _output.AppendLine(line);
        if (Announcement().Match(line) is { Success: true } found)
            _address.TrySetResult(new Uri(found.Groups[1].Value));
    }

    [GeneratedRegex(@"Now listening on: (http://[\d.:]+)")]
    private static partial Regex Announcement();
}
