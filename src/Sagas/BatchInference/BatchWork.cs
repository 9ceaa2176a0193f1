using Contracts;
using Contracts.BatchInference;
using Messaging;
using Sagas.WorkLedger;

namespace Sagas.BatchInference;

/// <summary>One unit of a batch job, as the ledger keeps it: a text file to convert (unit below 0) or a shard to score.</summary>
/// <param name="Columns">To convert: the columns that scoring will need. Null for a shard.</param>
/// <param name="QuarantineAll">See <see cref="ScoreShard"/>.</param>
public sealed record BatchUnit(
    RowRange Range, bool Converted = false, IReadOnlyList<string>? KeyTypes = null, IReadOnlyList<string>? Columns = null, Failure? QuarantineAll = null);

/// <summary>What the winner of a shard wrote.</summary>
public sealed record ShardResult(PartFile? Part, PartFile? Quarantine);

/// <summary>What the winner of a conversion wrote.</summary>
public sealed record ConversionResult(string Uri, long Rows, long Bytes, string Sha256);

/// <summary>One input file in the manifest.</summary>
/// <param name="FooterSha256">Of the Parquet footer, which holds sizes, statistics and offsets of all data pages; null for text.</param>
/// <param name="ETag">Of an object store; null for files.</param>
public sealed record BatchInputFile(string Source, string Uri, long Bytes, long ModifiedTicks, string? FooterSha256, string? ETag = null);

/// <summary>Batch inference in the ledger's terms.</summary>
public static class BatchWork
{
    public const string Kind = "batch-inference";

    public static Uri UnitsQueue { get; } = QueueAddress.Of(BatchQueues.Units);

    public static WorkKind WorkKind { get; } = new(
        Kind,
        Dispatch,
        job => new AllShardsCommitted(job.Id, job.Scored, job.Quarantined),
        job => new AllFilesConverted(job.Id),
        (job, failure) => new BatchWorkFailed(job.Id, failure),
        Split,
        (spec, failure) => WireJson.Write(WireJson.Read<BatchUnit>(spec) with { QuarantineAll = failure }),
        spec => WireJson.Read<BatchUnit>(spec).QuarantineAll is not null);

    public static string ResultFolder(this BatchJobSpec spec, Guid jobId) => $"{spec.Output.Uri.TrimEnd('/')}/{jobId}";

    /// <summary>Beside the results, so that winning is a rename within one file system.</summary>
    public static string WorkFolder(this BatchJobSpec spec, Guid jobId) => $"{spec.ResultFolder(jobId)}/_work";

    static (Uri, object) Dispatch(WorkJob job, WorkUnit unit)
    {
        var spec = WireJson.Read<BatchJobSpec>(job.Spec);
        var piece = WireJson.Read<BatchUnit>(unit.Spec);
        return piece.Columns is { } columns
            ? (UnitsQueue, new ConvertFile(
                job.Id, job.Epoch, unit.Unit, unit.Attempt, job.Tenant, piece.Range, spec.Input.Format, columns, spec.WorkFolder(job.Id)))
            : (UnitsQueue, new ScoreShard(
                job.Id, job.Epoch, unit.Unit, unit.Attempt, job.Tenant, piece.Range, piece.Converted, spec.Model, spec.Signature, spec.Mapping,
                spec.KeyColumns, piece.KeyTypes ?? [], spec.Output.Format, spec.WorkFolder(job.Id), piece.QuarantineAll));
    }

    static (string, string) Split(string spec, long rows)
    {
        var unit = WireJson.Read<BatchUnit>(spec);
        return (
            WireJson.Write(unit with { Range = unit.Range with { Rows = rows } }),
            WireJson.Write(unit with { Range = unit.Range with { FirstRow = unit.Range.FirstRow + rows, Rows = unit.Range.Rows - rows } }));
    }
}
