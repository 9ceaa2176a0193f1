namespace Contracts.BatchInference;

// The wire format of the pipeline, in causal order. Extended by addition only: running jobs hold these in the outbox.

/// <summary>Score a table with a model. <paramref name="JobId"/> comes from the accepting side, so a repeated request is the same job.</summary>
public sealed record SubmitBatchJob(Guid JobId, string Tenant, BatchJobSpec Spec);

/// <summary>Everything a job needs to know, fixed when it is accepted.</summary>
/// <param name="Input">What to read.</param>
/// <param name="Model">A fixed version: <c>latest</c> was resolved when the job was accepted.</param>
/// <param name="Signature">Of that version.</param>
/// <param name="Mapping">Which column feeds which input.</param>
/// <param name="KeyColumns">Passed through to the output. Empty: the key is (file, record).</param>
/// <param name="Output">Where and how to write.</param>
/// <param name="BatchSize">Most rows a shard may hold; null leaves it to the planner.</param>
/// <param name="RowsPerSecond">Of one worker slot with this model, as last measured.</param>
/// <param name="MaxErrorRate">Share of the planned rows that may be quarantined before the job fails, 0 to 1.</param>
/// <param name="MaxErrors">Rows that may be quarantined before the job fails; null: no such limit.</param>
/// <param name="DeadlineSeconds">From admission.</param>
/// <param name="Priority">Higher goes first; 0 is usual.</param>
public sealed record BatchJobSpec(
    InputSpec Input,
    ModelRef Model,
    ModelSignature Signature,
    FeatureMapping Mapping,
    IReadOnlyList<string> KeyColumns,
    OutputSpec Output,
    int? BatchSize,
    double RowsPerSecond,
    double MaxErrorRate,
    long? MaxErrors,
    int DeadlineSeconds,
    int Priority);

/// <param name="Uri">
/// A file, a folder or a glob, as <c>file://</c>, <c>az://container/…</c> or <c>https://account…/container/…</c>; or one file as
/// <c>https://</c> of another host.
/// </param>
/// <param name="Format"><c>parquet</c>, <c>csv</c> or <c>ndjson</c>.</param>
public sealed record InputSpec(string Uri, string Format);

/// <param name="Uri">The folder under which <c>{jobId}/</c> is made, as <c>file://</c>, <c>az://</c> or <c>https://</c> of a storage account.</param>
/// <param name="Format"><c>parquet</c>, <c>csv</c> or <c>ndjson</c>.</param>
public sealed record OutputSpec(string Uri, string Format);

/// <summary>Which column feeds which input. One entry per fed input of the model.</summary>
public sealed record FeatureMapping(IReadOnlyList<InputColumns> Inputs);

/// <param name="Input">Name of the model's input.</param>
/// <param name="Columns">One column for an input of shape [N] or [N, 1]; F columns, in order, for [N, F].</param>
public sealed record InputColumns(string Input, IReadOnlyList<string> Columns);

/// <summary>Open the input, check it and cut it into units.</summary>
/// <param name="Step">0 looks at the input as it came; 1 at what text files were converted to.</param>
/// <param name="Files">Files planned already: one message opens a few hundred at most, and orders the next.</param>
public sealed record PlanBatchJob(Guid JobId, int Step, int Files = 0);

/// <summary>Text files were cut into conversion units; planning goes on when they are committed.</summary>
public sealed record BatchConversionPlanned(Guid JobId, int Units);

public sealed record BatchPlanned(Guid JobId, int Shards, long Rows);

public sealed record BatchPlanFailed(Guid JobId, Failure Failure);

/// <summary>Where a unit's rows are. The plan pins size and time of each file: a worker that finds others reports <c>input_changed</c>.</summary>
/// <param name="Uri">The Parquet file to read (the input itself, or what a text file was converted to).</param>
/// <param name="Source">Name of the file as the user knows it, relative to the input.</param>
/// <param name="FirstRow">0-based, within the file.</param>
/// <param name="Rows">How many rows follow.</param>
/// <param name="Length">Bytes of the file when it was planned.</param>
/// <param name="ModifiedTicks">UTC ticks of its last change when it was planned.</param>
/// <param name="ETag">Of an object store; null for files.</param>
public sealed record RowRange(string Uri, string Source, long FirstRow, long Rows, long Length, long ModifiedTicks, string? ETag = null);

/// <summary>Turn one text file into Parquet. All values stay text; the record's number is added.</summary>
/// <param name="WorkUri">Folder for files that nobody sees until they win.</param>
public sealed record ConvertFile(
    Guid JobId, int Epoch, int Unit, int Attempt, string Tenant, RowRange File, string Format, IReadOnlyList<string> Columns, string WorkUri);

/// <param name="Uri">The Parquet file under the work folder.</param>
public sealed record FileConverted(
    Guid JobId, int Epoch, int Unit, int Attempt, Guid Execution, string Worker, string Uri, long Rows, long Bytes, string Sha256, TimeSpan Elapsed);

/// <summary>Score some rows of one file.</summary>
/// <param name="Converted">The file came from text: features and keys are VARCHAR and must be cast row by row.</param>
/// <param name="QuarantineAll">
/// Set when these rows are to blame for repeated failures: write every row to quarantine with this reason, without calling the model.
/// </param>
/// <param name="KeyTypes">DuckDB type of each key column in the output, in the order of <see cref="BatchJobSpec.KeyColumns"/>.</param>
public sealed record ScoreShard(
    Guid JobId,
    int Epoch,
    int Shard,
    int Attempt,
    string Tenant,
    RowRange Range,
    bool Converted,
    ModelRef Model,
    ModelSignature Signature,
    FeatureMapping Mapping,
    IReadOnlyList<string> KeyColumns,
    IReadOnlyList<string> KeyTypes,
    string OutputFormat,
    string WorkUri,
    Failure? QuarantineAll = null);

/// <summary>One execution of a shard has written its files. The ledger decides whether they win.</summary>
/// <param name="Part">Null when every row of the shard was quarantined.</param>
/// <param name="Quarantine">Null when no row was.</param>
public sealed record ShardScored(
    Guid JobId,
    int Epoch,
    int Shard,
    int Attempt,
    Guid Execution,
    string Worker,
    PartFile? Part,
    PartFile? Quarantine,
    TimeSpan Elapsed);

/// <param name="Uri">Under the work folder, until published.</param>
public sealed record PartFile(string Uri, long Rows, long Bytes, string Sha256);

/// <summary>One execution of a unit (a shard or a conversion) gave up.</summary>
/// <param name="Retryable">False: the same attempt elsewhere would fail the same way, and the job fails with the reason.</param>
/// <param name="RowsPerSecond">What was reached, for <c>too_long</c>: the ledger cuts the unit by it. 0 elsewhere.</param>
public sealed record ShardFailed(
    Guid JobId, int Epoch, int Shard, int Attempt, Guid Execution, string Worker, Failure Failure, bool Retryable, double RowsPerSecond);

/// <summary>Every conversion unit is committed: planning goes on.</summary>
public sealed record AllFilesConverted(Guid JobId);

/// <summary>Counts are the ledger's. Sent once, in the transaction that commits the last shard.</summary>
public sealed record AllShardsCommitted(Guid JobId, long Scored, long Quarantined);

/// <summary>The ledger ended the job's work because of what it met, e.g. <c>error_threshold_exceeded</c> or <c>input_changed</c>.</summary>
public sealed record BatchWorkFailed(Guid JobId, Failure Failure);

public sealed record PublishResults(Guid JobId);

public sealed record ResultsPublished(Guid JobId, string ManifestUri, string ManifestSha256, long Scored, long Quarantined);

public sealed record PublicationFailed(Guid JobId, Failure Failure);

/// <summary>A person or system asked to stop. The ledger has already raised the epoch when this is sent.</summary>
public sealed record CancelBatchJob(Guid JobId, string Tenant, string Reason);

/// <summary>Remove the work folder. Scheduled one lease after the end, when no worker writes to it any more.</summary>
public sealed record CleanUpWork(Guid JobId);

/// <summary>Whatever the job waits for may be lost: ask again.</summary>
public sealed record ResumeBatchJob(Guid JobId);

/// <summary>Nothing arrived for a while in a waiting state.</summary>
public sealed record BatchStepTimedOut(Guid JobId);

/// <summary>The job's own deadline, from admission.</summary>
public sealed record BatchJobTimedOut(Guid JobId);

/// <summary>The job was never admitted.</summary>
public sealed record BatchQueueTimedOut(Guid JobId);

// What others may listen to.

public sealed record BatchJobCompleted(
    Guid JobId, string Tenant, string ManifestUri, string ManifestSha256, long Scored, long Quarantined, bool WithErrors);

public sealed record BatchJobFailed(Guid JobId, string Tenant, Failure Failure);

public sealed record BatchJobCancelled(Guid JobId, string Tenant, string Reason);

/// <summary>Names that both ends of a queue must know.</summary>
public static class BatchQueues
{
    /// <summary>Where conversions and shards wait for a worker: one queue, for they share its slots.</summary>
    public const string Units = "batch-inference-units";

    /// <summary>Where integrating systems put their requests, as plain JSON. Those are the home tenant's.</summary>
    public const string Input = "batch-inference-input";
}
