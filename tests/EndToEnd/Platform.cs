using Support;

namespace EndToEnd;

/// <summary>One platform on one data folder: a process that tests may kill and start again, used over HTTP alone.</summary>
public sealed class Platform : IPlatform, IAsyncDisposable
{
    readonly StandaloneLaunch _launch;
    StandaloneProcess _process;

    Platform(StandaloneLaunch launch, StandaloneProcess process) => (_launch, _process) = (launch, process);

    /// <summary>Of the process now running: not to be kept across a restart.</summary>
    public HttpClient Http => _process.Http;

    public string Output => _process.Output;

    /// <summary>Whatever lies in it may be scored.</summary>
    public string Inputs => Path.Combine(_launch.DataFolder, "inputs");

    public static async Task<Platform> StartAsync(StandaloneLaunch launch) => new(launch, await StandaloneProcess.StartAsync(launch));

    /// <summary>kill -9 of Standalone; its PostgreSQL lives on.</summary>
    public Task KillAsync() => _process.KillAsync();

    /// <summary>kill -9 of its PostgreSQL.</summary>
    public Task KillDatabaseAsync() => PostgresProcess.KillAsync(_launch.DataFolder);

    /// <summary>SIGTERM, and waits for the end.</summary>
    public Task<int> StopAsync() => _process.StopAsync();

    /// <summary>Starts it again on the same data.</summary>
    public async Task StartAgainAsync()
    {
        _process.Http.Dispose();
        _process = await StandaloneProcess.StartAsync(_launch);
    }

    public ValueTask DisposeAsync() => _process.DisposeAsync();
}
