using System.ComponentModel.DataAnnotations;

namespace GpuWorker.OnlineScoring;

/// <summary>How requests that wait for their answer are served.</summary>
public sealed class OnlineScoringOptions
{
    public const string Section = "Online";

    /// <summary>Largest body, in bytes. Default: 64 MiB.</summary>
    [Range(1024, 1L << 30)]
    public int MaxBodyBytes { get; set; } = 64 << 20;

    /// <summary>Most rows of a request. Default: 10,000.</summary>
    [Range(1, 1_000_000)]
    public int MaxRows { get; set; } = 10_000;

    /// <summary>Runs of one model at once, 0 to 256. Default: 0, one a core.</summary>
    [Range(0, 256)]
    public int RunsPerModel { get; set; }

    /// <summary>Requests of one model that wait for a run; what comes then is refused. Default: 1,024.</summary>
    [Range(1, 1_000_000)]
    public int MaxQueued { get; set; } = 1024;

    /// <summary>Longest that a request waits for its run, in milliseconds; then it is refused. Default: 2,000.</summary>
    [Range(1, 60_000)]
    public int MaxWaitMilliseconds { get; set; } = 2000;

    /// <summary>Whether requests that wait behind a busy model are run together, where the model gives the same results so. Default: true.</summary>
    public bool MicroBatching { get; set; } = true;

    /// <summary>Most rows that are run together. Default: 256.</summary>
    [Range(1, 100_000)]
    public int MaxBatchRows { get; set; } = 256;

    /// <summary>How long a request may take when its caller does not say, in milliseconds. Default: 10,000.</summary>
    [Range(1, 60_000)]
    public int TimeoutMilliseconds { get; set; } = 10_000;

    internal int EffectiveRuns => RunsPerModel > 0 ? RunsPerModel : Environment.ProcessorCount;
}
