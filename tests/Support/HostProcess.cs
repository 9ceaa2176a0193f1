using System.Text.RegularExpressions;

namespace Support;

/// <summary>One host of several as its operators run it: a process of its own, which a test may kill.</summary>
public sealed partial class HostProcess : IAsyncDisposable
{
    readonly ListeningProcess _process;

    HostProcess(HostLaunch launch, ListeningProcess process) => (Launch, _process) = (launch, process);

    public HostLaunch Launch { get; }

    public int ProcessId => _process.ProcessId;

    public HttpClient Http { get; private set; } = null!;

    /// <summary>Standard output and error so far.</summary>
    public string Output => _process.Output;

    /// <summary>Starts and waits until it listens.</summary>
    public static async Task<HostProcess> StartAsync(HostLaunch launch)
    {
        var host = new HostProcess(launch, Start(launch));
        try
        {
            host.Http = new HttpClient { BaseAddress = await host._process.Address.WaitAsync(launch.ListensWithin) };
            return host;
        }
        catch (Exception e)
        {
            await host.DisposeAsync();
            throw e is TimeoutException ? new TimeoutException($"{launch.Host} did not listen within {launch.ListensWithin}:\n{host.Output}", e) : e;
        }
    }

    /// <summary>Starts one that is expected to end by itself.</summary>
    public static async Task<(int ExitCode, string Output)> RunAsync(HostLaunch launch)
    {
        using var limit = new CancellationTokenSource(launch.ListensWithin);
        return await Start(launch).RunAsync(limit.Token);
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
            using var health = await Http.GetAsync("/health");
            throw new TimeoutException($"{e.Message}\n{await health.Content.ReadAsStringAsync()}\n{Output}", e);
        }
    }

    /// <summary>kill -9.</summary>
    public Task KillAsync() => _process.KillAsync();

    /// <summary>SIGTERM, as systemd, docker and kubernetes do.</summary>
    /// <returns>The exit code.</returns>
    public Task<int> StopAsync() => _process.StopAsync(Signals.Terminate, CancellationToken.None);

    public ValueTask DisposeAsync()
    {
        Http?.Dispose();
        return _process.DisposeAsync();
    }

    static ListeningProcess Start(HostLaunch launch)
    {
        // Where it listens is asked for: beside the tests lies the configuration of Standalone, which says it in its own way.
        var settings = new Dictionary<string, string> { ["ASPNETCORE_ENVIRONMENT"] = "Test", ["Logging__LogLevel__Microsoft.Hosting.Lifetime"] = "Information" };
        foreach (var (name, value) in launch.Settings)
            settings[name.Replace(":", "__", StringComparison.Ordinal)] = value;
        return ListeningProcess.Start(
            launch.Host, [ListeningProcess.Dotnet, Path.Combine(AppContext.BaseDirectory, $"{launch.Host}.dll"), .. launch.Arguments, "--urls", "http://127.0.0.1:0"], settings,
            line => Announcement().Match(line) is { Success: true } found ? new Uri(found.Groups[1].Value) : null);
    }

    [GeneratedRegex(@"Now listening on: (http://[\d.:]+)")]
    private static partial Regex Announcement();
}
