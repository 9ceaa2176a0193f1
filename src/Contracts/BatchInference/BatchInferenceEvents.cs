using Contracts.WorkLedger;

namespace Contracts.BatchInference;

// What integrating systems read, as plain JSON. Extended by addition only: their programs are not ours to change.

/// <summary>What became of a job. One message for its start, one for its end; or one that says that it was refused.</summary>
/// <param name="Type">One of <see cref="BatchEventTypes"/>. It is the header <c>type</c> too.</param>
/// <param name="JobId">Also of a refused job: the id it would have had.</param>
/// <param name="Tenant">Whose job it is.</param>
/// <param name="Reference">What the sender called the job, as it was given; absent when it gave no name.</param>
/// <param name="Status">Submitted, Completed, CompletedWithErrors, Failed, Cancelled or Rejected.</param>
/// <param name="Rows">At the job's end.</param>
/// <param name="ManifestUri">Of a job that published a result.</param>
/// <param name="Failure">Why it failed or was refused, with every bad field.</param>
/// <param name="Reason">Given by who cancelled.</param>
/// <param name="Links">Into the API; absent when there is no such job.</param>
/// <param name="Queue">On which it was refused.</param>
[Exchange("batch-inference-output")]
public sealed record BatchInferenceOutput(
    string Type,
    Guid JobId,
    string Tenant,
    string? Reference,
    string Status,
    DateTimeOffset At,
    JobRows? Rows = null,
    string? ManifestUri = null,
    string? ManifestSha256 = null,
    Failure? Failure = null,
    string? Reason = null,
    JobLinks? Links = null,
    string? Queue = null);

/// <summary>How far a job is, at most once a second. Transient: one that is lost is followed by a newer one.</summary>
/// <param name="Tenant">Whose job it is.</param>
/// <param name="RowsPerSecond">Since the job was planned; absent until measured.</param>
[Exchange("batch-metrics")]
public sealed record BatchMetrics(
    string Type,
    Guid JobId,
    string Tenant,
    string? Reference,
    string Status,
    DateTimeOffset At,
    long RowsTotal,
    long RowsDone,
    long Quarantined,
    double? RowsPerSecond,
    int ShardsTotal,
    int ShardsDone);

public static class BatchEventTypes
{
    public const string Started = "batch-job-started";
    public const string Completed = "batch-job-completed";
    public const string Failed = "batch-job-failed";
    public const string Cancelled = "batch-job-cancelled";
    public const string Rejected = "batch-job-rejected";
    public const string Progress = "batch-job-progress";
}

/// <summary>Where the API has the rest.</summary>
public sealed record JobLinks(string Self, string Events, string Shards, string Results, string Cancel)
{
    public static JobLinks Of(Guid id)
    {
        var self = $"/api/v1/batch-inference/jobs/{id}";
        return new JobLinks(self, $"{self}/events", $"{self}/shards", $"{self}/results", $"{self}/cancel");
    }
}
