using Xunit;

namespace Support;

/// <summary>
/// A fixture: one private RabbitMQ for the whole test process, started at first use. What a killed test process left behind is
/// cleaned by the next. A test that stops the broker starts a <see cref="RabbitMqProcess"/> of its own.
/// </summary>
public sealed class RabbitMqServer : IAsyncLifetime
{
    static readonly Lazy<Task<RabbitMqProcess>> Server = new(StartAsync);

    public RabbitMqProcess Process { get; private set; } = null!;

    public async Task InitializeAsync() => Process = await Server.Value;

    public Task DisposeAsync() => Task.CompletedTask;

    /// <summary>A fresh, empty virtual host.</summary>
    public Task<string> CreateVirtualHostAsync() => Process.CreateVirtualHostAsync();

    static async Task<RabbitMqProcess> StartAsync()
    {
        var process = await RabbitMqProcess.StartNewAsync();
        AppDomain.CurrentDomain.ProcessExit += (_, _) => process.Destroy();
        return process;
    }
}
