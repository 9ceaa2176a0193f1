using System.Text.Json;
using Contracts;
using Contracts.BatchInference;
using Contracts.WorkLedger;
using Sagas.BatchInference;
using Sagas.WorkLedger;

namespace Api.BatchInference;

/// <summary>A job in a list.</summary>
public sealed record BatchJobSummary(
    Guid Id, string Status, string Model, string ModelVersion, string Input, JobProgress Progress, DateTimeOffset SubmittedAt, DateTimeOffset? EndedAt);

public sealed record BatchJobList(IReadOnlyList<BatchJobSummary> Jobs, string? Next);

/// <param name="Reference">What the sender of a message called the job.</param>
/// <param name="RequestedBy">Id of the caller who asked for it.</param>
/// <param name="Failure">Why it failed, or is about to.</param>
/// <param name="RescoredRows">Rows that a lost worker had begun and another did again.</param>
public sealed record BatchJobView(
    Guid Id,
    string? Reference,
    string? RequestedBy,
    string Status,
    JobModel Model,
    InputSpec Input,
    OutputSpec Output,
    IReadOnlyList<string> KeyColumns,
    FeatureMapping Mapping,
    int? BatchSize,
    double MaxErrorRate,
    long? MaxErrors,
    int DeadlineSeconds,
    int Priority,
    JobProgress Progress,
    JobRows Rows,
    long RescoredRows,
    Failure? Failure,
    string? CancelReason,
    string? ManifestUri,
    string? ManifestSha256,
    DateTimeOffset SubmittedAt,
    DateTimeOffset? AdmittedAt,
    DateTimeOffset? PlannedAt,
    DateTimeOffset? EndedAt,
    JobLinks Links)
{
    internal static BatchJobView Of(JobRow row, DateTimeOffset now)
    {
        var (job, saga, spec) = (row.Job, row.Saga, WireJson.Read<BatchJobSpec>(row.Job.Spec));
        var failure = saga?.Failure ?? (job.State == WorkJobState.Failed ? job.Failure : null);
        return new BatchJobView(
            job.Id, job.Reference, job.RequestedBy, row.Status, new JobModel(spec.Model.Name, spec.Model.Sha256), spec.Input, spec.Output, spec.KeyColumns, spec.Mapping,
            spec.BatchSize, spec.MaxErrorRate, spec.MaxErrors, spec.DeadlineSeconds, spec.Priority,
            JobProgress.Of(row, now), job.CountRows(), job.Rescored,
            failure is null ? null : WireJson.Read<Failure>(failure), saga?.CancelReason, saga?.ManifestUri, saga?.ManifestSha256,
            job.AcceptedAt, job.AdmittedAt, job.PlannedAt, row.EndedAt, JobLinks.Of(job.Id));
    }

    internal static BatchJobSummary Summary(JobRow row, DateTimeOffset now)
    {
        var spec = WireJson.Read<BatchJobSpec>(row.Job.Spec);
        return new BatchJobSummary(
            row.Job.Id, row.Status, spec.Model.Name, spec.Model.Sha256, spec.Input.Uri, JobProgress.Of(row, now), row.Job.AcceptedAt, row.EndedAt);
    }
}

public sealed record JobModel(string Name, string Version);

/// <param name="Kind"><c>shard</c>, or <c>conversion</c>: a text file on its way to Parquet.</param>
/// <param name="File">Of the input, as the caller knows it.</param>
/// <param name="FirstRow">0-based, within the file.</param>
public sealed record ShardView(
    int Shard, string Kind, string State, string File, long FirstRow, long Rows, long RowsDone, long Scored, long Quarantined, int Attempt, int Failures, int Crashes,
    string? Worker, DateTimeOffset? StartedAt, DateTimeOffset? CommittedAt, int ElapsedMs, Failure? LastFailure)
{
    internal static ShardView Of(WorkUnit unit)
    {
        var range = WireJson.Read<BatchUnit>(unit.Spec).Range;
        return new ShardView(
            unit.Unit, unit.Unit < 0 ? "conversion" : "shard", unit.State.ToString(), range.Source, range.FirstRow, unit.Rows, unit.RowsDone, unit.Scored,
            unit.Quarantined, unit.Attempt, unit.Failures, unit.Crashes, unit.Worker, unit.StartedAt, unit.CommittedAt, unit.ElapsedMs,
            unit.LastFailure is null ? null : WireJson.Read<Failure>(unit.LastFailure));
    }
}

public sealed record ShardList(IReadOnlyList<ShardView> Shards, int? Next);

/// <param name="Manifest">The manifest as it was written: parts, rows, hashes, schema.</param>
/// <param name="Files">URIs of all published files, the manifest first.</param>
public sealed record BatchJobResults(Guid Id, string Status, string ManifestUri, string ManifestSha256, IReadOnlyList<string> Files, JsonElement Manifest);
