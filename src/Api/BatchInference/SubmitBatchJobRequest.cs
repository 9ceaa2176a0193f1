namespace Api.BatchInference;

/// <summary>What to score, with which model, and where the result goes.</summary>
/// <param name="Model">A registered model: <c>name</c> for the latest version, <c>name@alias</c> or <c>name@sha256</c>.</param>
/// <param name="ModelVersion">sha256 or alias of the version, when it is not part of <paramref name="Model"/>; <c>latest</c> is the default.</param>
/// <param name="ModelType">Short form: <c>credit-risk</c> is the model <c>credit-risk-model</c> on its sample input, with a batch size of 100,000.</param>
/// <param name="Features">Columns of the model's [N, F] input, in order, where neither the model says them nor their names are the inputs'.</param>
/// <param name="KeyColumns">Passed through to the output. None: the key is (file, record).</param>
/// <param name="BatchSize">Most rows of a shard, 1 to 10,000,000; without it the planner decides.</param>
/// <param name="MaxErrors">Rows that may be quarantined before the job fails.</param>
/// <param name="MaxErrorRate">Share of the planned rows that may be quarantined before the job fails, 0 to 1. Default: 0.01.</param>
/// <param name="DeadlineSeconds">From admission, 1 to 604,800. Default: 3600.</param>
/// <param name="Priority">-100 to 100, higher goes first. Default: 0.</param>
public record SubmitBatchJobRequest(
    string? Model = null,
    string? ModelVersion = null,
    string? ModelType = null,
    JobInput? Input = null,
    IReadOnlyList<string>? Features = null,
    IReadOnlyList<string>? KeyColumns = null,
    JobOutput? Output = null,
    int? BatchSize = null,
    long? MaxErrors = null,
    double? MaxErrorRate = null,
    int? DeadlineSeconds = null,
    int? Priority = null);

/// <param name="Uri">A file, a folder or a glob, as <c>file://</c> within the allowed roots.</param>
/// <param name="Format"><c>parquet</c>, <c>csv</c> or <c>ndjson</c>; without it the name's ending tells.</param>
public sealed record JobInput(string? Uri = null, string? Format = null);

/// <param name="Uri">The folder in which a folder named after the job is made, as <c>file://</c> within the allowed roots.</param>
/// <param name="Format"><c>parquet</c> (default), <c>csv</c> or <c>ndjson</c>.</param>
public sealed record JobOutput(string? Uri = null, string? Format = null);
