using Contracts.WorkLedger;
using GpuWorker.Inference;
using GpuWorker.OnlineScoring;
using MassTransit;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace GpuWorker;

/// <summary>Says at start, when there is something new, and every 5 s that this worker takes work, and which models it holds.</summary>
public sealed partial class WorkerHeartbeat(
    IBus bus, ModelCache models, OnlineScorer scorer, WorkerIdentity worker, IOptions<GpuWorkerOptions> options, TimeProvider time, IHostApplicationLifetime lifetime, ILogger<WorkerHeartbeat> logger,
    WorkerAddress? address = null)
    : BackgroundService
{
    static readonly TimeSpan Period = TimeSpan.FromSeconds(5);
    static readonly TimeSpan TimeToLive = TimeSpan.FromSeconds(15);

    // A worker that opens several models says so once.
    static readonly TimeSpan Together = TimeSpan.FromMilliseconds(100);

    readonly Hint news = new();

    /// <summary>There is something new to say.</summary>
    internal void Hasten() => news.Give();

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // Before, nobody knows where it listens.
        await using var started = lifetime.ApplicationStarted.UnsafeRegister(static self => ((WorkerHeartbeat)self!).Hasten(), this);
        while (true)
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
            await news.WaitAsync(Period, Together, time, stoppingToken);
        }
    }
}
