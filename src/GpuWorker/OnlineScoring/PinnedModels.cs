using Contracts;
using GpuWorker.Inference;
using MassTransit;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace GpuWorker.OnlineScoring;

/// <summary>
/// Keeps the models of <c>Inference:Pinned</c> open and warm, each at the version that its name means now. Which that is, an API says: it is
/// asked at the start, whenever a model is said to have changed, and now and then, as such a word may be lost. Until another version is open
/// the one before stays.
/// </summary>
sealed partial class PinnedModels(
    IBus bus, ModelCache cache, OnlineScorer scorer, WorkerHeartbeat heartbeat, IOptions<InferenceOptions> options, TimeProvider time, ILogger<PinnedModels> logger) : BackgroundService
{
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);
    static readonly TimeSpan ToSend = TimeSpan.FromSeconds(2);
    static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(15);

    // Several versions may be registered, and aliases moved, in one go.
    static readonly TimeSpan Together = TimeSpan.FromMilliseconds(100);

    readonly Lock gate = new();
    readonly Pin[] pins = [.. options.Value.Pinned.Distinct().Select(name => new Pin(TenantModel.TryParse(name)!, time.GetTimestamp()))];
    readonly Hint hint = new();
    Task<Response<ModelsFound>>? asked;
    bool isTried;

    TimeSpan Deadline => TimeSpan.FromSeconds(options.Value.PinnedSeconds);

    /// <summary>Each model was opened, or cannot be, or the time for it was up. Once true it stays so.</summary>
    internal bool IsTried
    {
        get
        {
            lock (gate)
                return isTried |= pins.All(pin => pin.IsOpen || WhyNot(pin) is not null);
        }
    }

    /// <summary>How many models are pinned, and how many of them are not open and should be by now.</summary>
    internal (int Pinned, int Missing) Count()
    {
        lock (gate)
            return (pins.Length, pins.Count(pin => WhyNot(pin) is not null));
    }

    /// <summary>Something is said to have changed. It is only a hint: what is so now, the API says.</summary>
    internal void Hear(ModelUpdate update)
    {
        // Whose the home tenant's models are is not known here.
        if (pins.Any(pin => pin.Name.Name == update.Model && (pin.Name.Tenant is null || pin.Name.Tenant == update.Tenant)))
            hint.Give();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (pins.Length == 0)
            return;
        for (var pause = FirstPause; ;)
        {
            if (await TryAskAsync(stoppingToken) is { } found)
            {
                pause = FirstPause;
                Follow(found, stoppingToken);
                await hint.WaitAsync(TimeSpan.FromSeconds(options.Value.PinnedLookSeconds), Together, time, stoppingToken);
            }
            else
            {
                await hint.WaitAsync(pause, Together, time, stoppingToken);
                pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
            }
        }
    }

    /// <returns>In the order of the pins; null when nobody answers.</returns>
    async Task<IReadOnlyList<ModelRef?>?> TryAskAsync(CancellationToken stoppingToken)
    {
        try
        {
            // The first question of a process blocks its thread until the broker is there: there is never more than one.
            if (asked is { IsCompleted: false })
                await asked.WaitAsync(Patience, time, stoppingToken);
            var client = bus.CreateRequestClient<FindModels>(RequestTimeout.After(ms: (int)Patience.TotalMilliseconds));
            var question = new FindModels([.. pins.Select(pin => pin.Name)]);
            asked = Task.Run(() => client.GetResponse<ModelsFound>(question, message => message.UseExecute(context =>
            {
                (context.TimeToLive, context.Durable) = (Patience, false);
            }), stoppingToken), stoppingToken);
            var answer = await asked.WaitAsync(Patience + ToSend, time, stoppingToken);
            return answer.Message.Models.Count == pins.Length ? answer.Message.Models : null;
        }
        catch (Exception e) when (!stoppingToken.IsCancellationRequested)
        {
            LogNoAnswer(e.GetType().Name);
            return null;
        }
    }

    void Follow(IReadOnlyList<ModelRef?> found, CancellationToken stoppingToken)
    {
        var toOpen = new List<(Pin, ModelRef)>();
        lock (gate)
        {
            foreach (var (pin, model) in pins.Zip(found))
            {
                if (model is null)
                {
                    (pin.Wanted, pin.Open) = (null, null);
                    Fail(pin, "there is no such model or alias");
                    continue;
                }
                var isNew = pin.Wanted?.Sha256 != model.Sha256;
                if (isNew)
                    (pin.Wanted, pin.Reason, pin.Since) = (model, null, pin.Open is null ? pin.Since : time.GetTimestamp());
                // Or it could not be opened, or somebody closed it.
                if (isNew || (pin.Opening.IsCompleted && (!pin.IsOpen || !cache.WarmModels.Contains(model.Sha256))))
                    toOpen.Add((pin, model));
            }
        }
        PinVersions();
        foreach (var (pin, model) in toOpen)
            pin.Opening = OpenAsync(pin, model, stoppingToken);
    }

    async Task OpenAsync(Pin pin, ModelRef model, CancellationToken stoppingToken)
    {
        string? reason = null;
        try
        {
            // On a thread of its own: a model that is open already is run on its caller's.
            await Task.Run(() => scorer.WarmUpAsync(model, stoppingToken), stoppingToken);
        }
        catch (Exception e)
        {
            if (stoppingToken.IsCancellationRequested)
                return;
            reason = e is FailureException failure ? $"{failure.Failure.Code}: {failure.Failure.Message}" : e.Message;
        }
        lock (gate)
        {
            // Another version may be wanted by now.
            if (pin.Wanted?.Sha256 != model.Sha256)
                return;
            if (reason is not null)
                Fail(pin, reason);
            else
                Succeed(pin, model);
            _ = IsTried;
        }
        PinVersions();
    }

    // The one wanted is pinned while it is being opened, the one before until that is done.
    void PinVersions()
    {
        lock (gate)
            cache.Pin([.. pins.SelectMany(pin => new[] { pin.Wanted?.Sha256, pin.Open?.Sha256 }).OfType<string>()]);
    }

    void Fail(Pin pin, string reason)
    {
        pin.Reason = reason;
        // It is tried again and again, and said once.
        if (pin.Said != reason)
            LogNotOpen(pin.Name, pin.Said = reason);
    }

    void Succeed(Pin pin, ModelRef model)
    {
        if (!pin.IsOpen || pin.Said is not null)
            LogOpen(pin.Name, model.Sha256);
        heartbeat.Hasten();
        (pin.Open, pin.Reason, pin.Said) = (model, null, null);
    }

    string? WhyNot(Pin pin) => pin.Reason ?? (!pin.IsOpen && time.GetElapsedTime(pin.Since) > Deadline ? "it takes too long" : null);

    [LoggerMessage(LogLevel.Warning, "Nobody says which versions the pinned models are ({Error}); asking again")]
    partial void LogNoAnswer(string error);

    [LoggerMessage(LogLevel.Information, "Pinned {Model} is open at {Sha256}")]
    partial void LogOpen(TenantModel model, string sha256);

    [LoggerMessage(LogLevel.Warning, "Pinned {Model} cannot be kept open: {Reason}")]
    partial void LogNotOpen(TenantModel model, string reason);

    sealed class Pin(TenantModel name, long since)
    {
        internal TenantModel Name => name;

        /// <summary>What the name means, as was last heard; null where it means nothing or nobody has said.</summary>
        internal ModelRef? Wanted { get; set; }

        /// <summary>What was last opened; another than the one wanted until that is open.</summary>
        internal ModelRef? Open { get; set; }

        internal bool IsOpen => Wanted is not null && Open?.Sha256 == Wanted.Sha256;

        internal Task Opening { get; set; } = Task.CompletedTask;

        /// <summary>Since when nothing is open, or not what is wanted.</summary>
        internal long Since { get; set; } = since;

        /// <summary>Why it is not open; null where nothing has gone wrong.</summary>
        internal string? Reason { get; set; }

        internal string? Said { get; set; }
    }
}

/// <summary>A worker is ready once its pinned models are open, or were tried for long enough: others need it too.</summary>
sealed class PinnedModelsTried(PinnedModels pinned) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(pinned.IsTried ? HealthCheckResult.Healthy() : HealthCheckResult.Unhealthy("The pinned models are being opened."));
}

/// <summary>Which are missing is for the log to say: not everybody who may ask for health may know the models.</summary>
sealed class PinnedModelsOpen(PinnedModels pinned) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(pinned.Count() is (var all, > 0 and var missing)
            ? HealthCheckResult.Degraded($"{missing} of {all} pinned models are not open; the worker's log says why.")
            : HealthCheckResult.Healthy());
}
