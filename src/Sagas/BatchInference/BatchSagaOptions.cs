using System.ComponentModel.DataAnnotations;

namespace Sagas.BatchInference;

public sealed class BatchSagaOptions
{
    public const string Section = "BatchInference:Saga";

    /// <summary>A waiting job asks again for what it waits for after this long. Default: 60 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00.100", "01:00:00")]
    public TimeSpan StepTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Longest wait for one of the tenant's places. Default: 24 h.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "30.00:00:00")]
    public TimeSpan QueueDeadline { get; init; } = TimeSpan.FromHours(24);

    /// <summary>Asks without an answer, in Publishing and Cancelling, after which the job fails. Default: 30.</summary>
    [Range(1, 10_000)]
    public int AskLimit { get; init; } = 30;

    /// <summary>The work folder goes this long after the end: one lease, so that no worker still writes to it. Default: 30 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00.100", "01:00:00")]
    public TimeSpan CleanUpDelay { get; init; } = TimeSpan.FromSeconds(30);
}
