using MassTransit;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Messaging.Compliance.Tests;

/// <summary>A host without a database, as a worker is.</summary>
public sealed class WorkerHost : IAsyncDisposable
{
    readonly IHost _host;

    WorkerHost(IHost host, LogLines logs) => (_host, Logs) = (host, logs);

    public LogLines Logs { get; }

    public IServiceProvider Services => _host.Services;

    public bool IsStopping => _host.Services.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping.IsCancellationRequested;

    public IBus Bus => _host.Services.GetRequiredService<IBus>();

    public static async Task<WorkerHost> StartAsync(
        IEnumerable<KeyValuePair<string, string?>> settings, Action<IBusRegistrationConfigurator>? bus = null, Action<IServiceCollection>? services = null,
        bool awaitBus = true)
    {
        // Whatever used an earlier host's bus in this flow has left its log context here, and that host may be gone.
        LogContext.Current = null;
        var logs = new LogLines();
        var builder = Host.CreateApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        builder.Configuration.AddInMemoryCollection(settings);
        builder.Logging.AddProvider(logs);
        services?.Invoke(builder.Services);
        builder.AddMessaging(b => bus?.Invoke(b));
        var host = builder.Build();
        await host.StartAsync();
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        if (awaitBus)
            await host.Services.GetRequiredService<IBusControl>().WaitForHealthStatus(BusHealthStatus.Healthy, limit.Token);
        return new WorkerHost(host, logs);
    }

    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync();
        _host.Dispose();
    }
}

/// <summary>Without a database: fails without a transaction.</summary>
public sealed class RefusingConsumer : IConsumer<PackOrder>
{
    public Task Consume(ConsumeContext<PackOrder> context) => throw new InvalidOperationException("no boxes here");
}
