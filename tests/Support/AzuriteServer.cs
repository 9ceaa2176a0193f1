using Xunit;

namespace Support;

/// <summary>A fixture: one private Azurite for the whole test process, started at first use.</summary>
public sealed class AzuriteServer : IAsyncLifetime
{
    static readonly Lazy<Task<AzuriteProcess>> Server = new(StartAsync);

    public AzuriteProcess Process { get; private set; } = null!;

    public async Task InitializeAsync() => Process = await Server.Value;

    public Task DisposeAsync() => Task.CompletedTask;

    static async Task<AzuriteProcess> StartAsync()
    {
        var process = await AzuriteProcess.StartAsync();
        AppDomain.CurrentDomain.ProcessExit += (_, _) => process.Kill();
        return process;
    }
}
