using MassTransit;
using MassTransit.Transports;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Messaging.Transports;

/// <summary>
/// Starts an endpoint again that has given up. MassTransit tries again after nearly every error, but not after a cancellation that nobody
/// asked for: a broker that took too long over a declaration, a connection lost while a channel opened on it. Such an endpoint says nothing
/// and stays deaf while the others of its host go on.
/// </summary>
sealed partial class EndpointWatch(IBusControl bus, IOptions<MessagingOptions> options, TimeProvider clock, ILogger<EndpointWatch> logger) : BackgroundService
{
    const int LooksUntilPatienceEnds = 10;

    readonly TimeSpan _patience = TimeSpan.FromSeconds(options.Value.RabbitMq.EndpointPatienceSeconds);
    readonly Dictionary<string, long> _silentSince = [];

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var looks = new PeriodicTimer(_patience / LooksUntilPatienceEnds, clock);
        while (await looks.WaitForNextTickAsync(stoppingToken))
        {
            var overdue = Overdue();
            if (overdue.Count > 0)
                LogSilent(_patience.TotalSeconds, string.Join("; ", overdue.Select(silent => $"{silent.Name}: {silent.Endpoint.Message}")));
            await Task.WhenAll(overdue.Select(silent => StartAgainAsync(silent.Name, silent.Endpoint, stoppingToken)));
        }
    }

    List<(string Name, ReceiveEndpoint Endpoint)> Overdue()
    {
        List<(string, ReceiveEndpoint)> overdue = [];
        foreach (var (name, health) in bus.CheckHealth().Endpoints)
        {
            // One that the bus has not started yet is the bus's.
            if (health.Status == BusHealthStatus.Healthy || health.ReceiveEndpoint is not ReceiveEndpoint { CurrentState: not ReceiveEndpoint.State.Initial } endpoint)
            {
                _silentSince.Remove(name);
            }
            else if (!_silentSince.TryAdd(name, clock.GetTimestamp()) && clock.GetElapsedTime(_silentSince[name]) >= _patience)
            {
                _silentSince[name] = clock.GetTimestamp();
                overdue.Add((name, endpoint));
            }
        }

        return overdue;
    }

    // Whether it has given up or still tries cannot be seen; either is well served by a start from the beginning.
    async Task StartAgainAsync(string name, ReceiveEndpoint endpoint, CancellationToken cancellationToken)
    {
        try
        {
            await endpoint.Stop(removed: false, cancellationToken).WaitAsync(_patience, cancellationToken);
            endpoint.Start(CancellationToken.None);
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            LogNotStarted(name, e);
        }
    }

    [LoggerMessage(LogLevel.Warning, "Not ready for {Seconds} seconds, started again: {Endpoints}")]
    partial void LogSilent(double seconds, string endpoints);

    [LoggerMessage(LogLevel.Error, "The endpoint {Endpoint} could not be started again. The next try follows")]
    partial void LogNotStarted(string endpoint, Exception exception);
}
