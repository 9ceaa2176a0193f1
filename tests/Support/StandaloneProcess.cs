namespace Support;

/// <summary>Standalone as its users run it: a process of its own, which a test may kill.</summary>
public sealed class StandaloneProcess : IAsyncDisposable
{
    const string Announcement = "Ready on ";

    readonly ListeningProcess _process;

    StandaloneProcess(ListeningProcess process, string dataFolder) => (_process, DataFolder) = (process, dataFolder);

    public string DataFolder { get; }

    /// <summary>Of the process started; where a launcher runs it, the launcher must exec.</summary>
    public int ProcessId => _process.ProcessId;

    public HttpClient Http { get; private set; } = null!;

    /// <summary>Standard output and error so far.</summary>
    public string Output => _process.Output;

    /// <summary>Starts and waits until it is ready.</summary>
    public static async Task<StandaloneProcess> StartAsync(StandaloneLaunch launch, CancellationToken cancellationToken = default)
    {
        var standalone = new StandaloneProcess(Launch(launch), launch.DataFolder);
        try
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            limit.CancelAfter(launch.ReadyWithin);
            standalone.Http = new HttpClient { BaseAddress = await standalone._process.Address.WaitAsync(limit.Token) };
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
    public static Task<(int ExitCode, string Output)> RunAsync(StandaloneLaunch launch, CancellationToken cancellationToken = default) =>
        Launch(launch).RunAsync(cancellationToken);

    /// <summary>kill -9. Its PostgreSQL lives on.</summary>
    public Task KillAsync() => _process.KillAsync();

    /// <summary>SIGTERM, as systemd, docker and kubernetes do.</summary>
    /// <returns>The exit code.</returns>
    public Task<int> StopAsync(int signal = Signals.Terminate, CancellationToken cancellationToken = default) => _process.StopAsync(signal, cancellationToken);

    /// <summary>Leaves nothing running, PostgreSQL included.</summary>
    public async ValueTask DisposeAsync()
    {
        Http?.Dispose();
        await _process.DisposeAsync();
        await PostgresProcess.KillAsync(DataFolder);
    }

    static ListeningProcess Launch(StandaloneLaunch launch)
    {
        string[] command =
        [
            .. launch.Launcher, ListeningProcess.Dotnet, .. launch.Runtime, Path.Combine(AppContext.BaseDirectory, "Standalone.dll"),
            "--data", launch.DataFolder, "--port", $"{launch.Port}", .. launch.Arguments,
        ];
        return ListeningProcess.Start(
            "Standalone", command, [new("ASPNETCORE_ENVIRONMENT", launch.Profile), .. launch.Environment],
            line => line.StartsWith(Announcement, StringComparison.Ordinal) ? new Uri(line[Announcement.Length..].Split(' ')[0]) : null);
    }
}
