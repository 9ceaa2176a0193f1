using System.Text.Json;
using System.Text.Json.Serialization;
using Contracts.BatchInference;
using Sagas.BatchInference;
using Sagas.WorkLedger;

namespace Consumers.BatchInference;

/// <summary>
/// What a finished job's folder holds and what it was made from. A pure function of the ledger's rows: no clock, sorted,
/// so that publishing twice gives the same bytes.
/// </summary>
public sealed record Manifest(
    Guid JobId,
    string Tenant,
    ManifestModel Model,
    ManifestRows Rows,
    string Format,
    IReadOnlyList<ManifestColumn> Schema,
    IReadOnlyList<ManifestPart> Parts,
    IReadOnlyList<ManifestPart> Quarantine,
    IReadOnlyList<ManifestInput> Inputs,
    ManifestWork Work)
{
    public const string FileName = "_manifest.json";

    static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    };

    public byte[] ToJson() => JsonSerializer.SerializeToUtf8Bytes(this, Json);

    /// <param name="units">Committed shards, in order.</param>
    public static Manifest Of(WorkJob job, BatchJobSpec spec, IReadOnlyList<WorkUnit> units, IReadOnlyList<BatchInputFile> inputs)
    {
        var shards = units.Select(u => (u.Unit, Result: Contracts.WireJson.Read<ShardResult>(u.Result!))).ToList();
        var keyTypes = units.Count > 0 ? Contracts.WireJson.Read<BatchUnit>(units[0].Spec).KeyTypes ?? [] : [];
        return new Manifest(
            job.Id,
            job.Tenant,
            new ManifestModel(spec.Model.Name, spec.Model.Sha256),
            new ManifestRows(job.InputRows, job.Scored, job.Quarantined, job.Skipped, job.Rescored),
            spec.Output.Format,
            Columns(spec, keyTypes),
            [.. shards.Where(s => s.Result.Part is not null).Select(s => Part(s.Unit, s.Result.Part!, PartName(s.Unit, spec.Output.Format)))],
            [.. shards.Where(s => s.Result.Quarantine is not null).Select(s => Part(s.Unit, s.Result.Quarantine!, QuarantineName(s.Unit)))],
            [.. inputs.OrderBy(i => i.Source, StringComparer.Ordinal)
                .Select(i => new ManifestInput(i.Source, i.Uri, i.Bytes, new DateTimeOffset(i.ModifiedTicks, TimeSpan.Zero), i.FooterSha256, i.ETag))],
            new ManifestWork(units.Count, units.Sum(u => u.Attempt), units.Sum(u => (long)u.ElapsedMs)));
    }

    public static string PartName(int shard, string format) => $"part-{shard:00000}.{format}";

    public static string QuarantineName(int shard) => $"quarantine-{shard:00000}.parquet";

    static ManifestPart Part(int shard, PartFile file, string name) => new(name, shard, file.Rows, file.Bytes, file.Sha256);

    static IReadOnlyList<ManifestColumn> Columns(BatchJobSpec spec, IReadOnlyList<string> keyTypes)
    {
        IEnumerable<ManifestColumn> keys = spec.KeyColumns.Count == 0
            ? [new("file", "VARCHAR"), new("record", "BIGINT")]
            : spec.KeyColumns.Select((name, i) => new ManifestColumn(name, i < keyTypes.Count ? keyTypes[i] : "VARCHAR"));
        return [.. keys, .. spec.Signature.Columns.Select(c => new ManifestColumn(c.Name, c.Type))];
    }
}

public sealed record ManifestModel(string Name, string Sha256);

public sealed record ManifestRows(long Input, long Scored, long Quarantined, long Skipped, long Rescored);

public sealed record ManifestColumn(string Name, string Type);

public sealed record ManifestPart(string File, int Shard, long Rows, long Bytes, string Sha256);

public sealed record ManifestInput(string Source, string Uri, long Bytes, DateTimeOffset Modified, string? FooterSha256, string? ETag);

/// <param name="SlotMilliseconds">Time of worker slots spent on the winning executions.</param>
public sealed record ManifestWork(int Shards, int Attempts, long SlotMilliseconds);
