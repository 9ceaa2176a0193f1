using Contracts.WorkLedger;
using MassTransit;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace GpuWorker.BatchInference;

/// <summary>Tells the ledger which units are being worked on: each at once when it starts, then all of them every 5 s.</summary>
public sealed partial class UnitHeartbeats(
    IBus bus, RunningUnits units, WorkerIdentity worker, TimeProvider time, ILogger<UnitHeartbeats> logger) : BackgroundService
{
    static readonly TimeSpan Period = TimeSpan.FromSeconds(5);

    // A late heartbeat says nothing any more: the lease it would renew is as long.
    static readonly TimeSpan TimeToLive = TimeSpan.FromSeconds(30);

    public Task AnnounceAsync(RunningUnit unit, CancellationToken cancellationToken) => bus.Publish(
        new UnitHeartbeat(unit.JobId, unit.Epoch, unit.Unit, unit.Attempt, unit.Execution, worker.Name, unit.RowsDone),
        context =>
        {
            context.TimeToLive = TimeToLive;
            context.Durable = false;
        },
        cancellationToken);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Period, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            foreach (var unit in units.All)
            {
                // One that does not get out within the period is no use: the next one says more.
                using var patience = new CancellationTokenSource(Period, time);
                using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, stoppingToken);
                try
                {
                    await AnnounceAsync(unit, either.Token);
                }
                catch (Exception e) when (!stoppingToken.IsCancellationRequested)
                {
                    LogHeartbeatLost(unit.Unit, unit.JobId, e);
                    break;
                }
            }
        }
    }
}
