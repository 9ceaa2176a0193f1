using Contracts.WorkLedger;
using GpuWorker.Inference;
using GpuWorker.OnlineScoring;
using MassTransit;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace GpuWorker;

/// <summary>Says at start and every 5 s that this worker takes work, and which models it holds.</summary>
public sealed partial class WorkerHeartbeat(
    IBus bus, ModelCache models, OnlineScorer scorer, WorkerIdentity worker, IOptions<GpuWorkerOptions> options, TimeProvider time, ILogger<WorkerHeartbeat> logger,
    WorkerAddress? address = null)
    : BackgroundService
{
    static readonly TimeSpan Period = TimeSpan.FromSeconds(5);
    static readonly TimeSpan TimeToLive = TimeSpan.FromSeconds(15);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Period, time);
        do
        {
            using var patience = new CancellationTokenSource(Period, time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, stoppingToken);
            try
            {
                await bus.Publish(
                    new WorkerAlive(worker.Name, options.Value.EffectiveSlots, models.WarmModels, address?.Find(), scorer.FreeRuns),
                    context =>
                    {
                        context.TimeToLive = TimeToLive;
                        context.Durable = false;
                    },
                    either.Token);
            }
            catch (Exception e) when (!stoppingToken.IsCancellationRequested)
            {
                LogNotAnnounced(worker.Name, e);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }
}
