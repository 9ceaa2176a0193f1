using Artifacts;
using Artifacts.Tabular;
using Contracts;
using Contracts.BatchInference;
using Sagas.BatchInference;

namespace Consumers.BatchInference;

/// <summary>What one planning message found. <paramref name="More"/>: files are left for the next.</summary>
public sealed record PlannedUnits(IReadOnlyList<(BatchUnit Unit, long Rows)> Units, IReadOnlyList<BatchInputFile> Inputs, int Files, bool More);

/// <summary>Opens the input and cuts it. Touches files and blobs only; what it finds is written by the caller in one transaction.</summary>
public sealed class InputPlanner(ArtifactStore artifacts)
{
    /// <summary>A footer takes milliseconds: this many stay well under the minute a message may be held.</summary>
    public const int FilesAtOnce = 500;

    /// <summary>Text is converted to Parquet with row groups of this size.</summary>
    const long ConvertedGroupRows = 122_880;

    /// <param name="tenant">Whose job it is: since it was accepted, its files may have become links to somebody else's.</param>
    /// <param name="planned">Files that earlier messages have planned.</param>
    /// <exception cref="FailureException">The input or its columns are not what the model needs.</exception>
    public async Task<PlannedUnits> PlanAsync(string tenant, BatchJobSpec spec, int planned, int slots, CancellationToken cancellationToken)
    {
        var own = artifacts.For(tenant);
        var files = await TabularInput.ListAsync(spec.Input, own, cancellationToken: cancellationToken);
        var chunk = files.Skip(planned).Take(FilesAtOnce).ToList();
        using var tables = await LocalTables.FetchAsync(own, chunk, spec.Input.Format, cancellationToken);
        var opened = TabularInput.Describe(tables.Files, spec.Input.Format, cancellationToken: cancellationToken);
        var isText = TabularFormat.IsText(spec.Input.Format);
        var columns = FeatureMap.Resolve(spec.Signature, opened.Count > 0 ? opened[0].Columns : [], isText, Features(spec), spec.KeyColumns);
        var units = isText ? Conversions(spec, opened) : Shards(spec, opened, columns.KeyTypes, slots);
        var inputs = opened.Select(f => new BatchInputFile(
            f.File.Source, f.File.Uri, f.File.Length, f.File.ModifiedTicks, isText ? null : ParquetFooter.Sha256(f.File.Path), f.File.ETag)).ToList();
        return new PlannedUnits(units, inputs, chunk.Count, planned + chunk.Count < files.Count);
    }

    /// <param name="conversions">The committed conversion units, in file order, with what they wrote.</param>
    public static IReadOnlyList<(BatchUnit Unit, long Rows)> PlanConverted(
        BatchJobSpec spec, IReadOnlyList<(BatchUnit Unit, ConversionResult Result)> conversions, int slots)
    {
        var plan = ShardPlan.For(conversions.Sum(c => c.Result.Rows), spec.RowsPerSecond, slots, spec.BatchSize);
        var keyTypes = spec.KeyColumns.Select(_ => "VARCHAR").ToList();
        return [.. conversions.SelectMany(c => plan.Cut(Groups(c.Result.Rows)).Select(range => (
            new BatchUnit(c.Unit.Range with { Uri = c.Result.Uri, FirstRow = range.FirstRow, Rows = range.Rows, Length = c.Result.Bytes, ModifiedTicks = 0, ETag = null }, true, keyTypes),
            range.Rows)))];
    }

    static List<(BatchUnit, long)> Conversions(BatchJobSpec spec, IReadOnlyList<TabularFile> files)
    {
        List<string> columns = [.. spec.KeyColumns.Concat(spec.Mapping.Inputs.SelectMany(i => i.Columns)).Distinct()];
        return [.. files.Select(f => (new BatchUnit(Range(f.File, 0, 0), Columns: columns), 0L))];
    }

    static List<(BatchUnit, long)> Shards(BatchJobSpec spec, IReadOnlyList<TabularFile> files, IReadOnlyList<string> keyTypes, int slots)
    {
        var plan = ShardPlan.For(files.Sum(f => f.Rows), spec.RowsPerSecond, slots, spec.BatchSize);
        return [.. files.SelectMany(f => plan.Cut(f.RowGroups).Select(range => (
            new BatchUnit(Range(f.File, range.FirstRow, range.Rows), false, keyTypes), range.Rows)))];
    }

    static RowRange Range(PinnedFile file, long first, long rows) => new(file.Uri, file.Source, first, rows, file.Length, file.ModifiedTicks, file.ETag);

    // The accepted mapping, asked for again: a column that changed since is found here.
    static IReadOnlyList<string> Features(BatchJobSpec spec) =>
        spec.Mapping.Inputs.FirstOrDefault(i => i.Columns.Count > 1)?.Columns ?? [.. spec.Mapping.Inputs.Select(i => i.Columns[0])];

    static IEnumerable<long> Groups(long rows)
    {
        for (; rows > 0; rows -= ConvertedGroupRows)
            yield return Math.Min(rows, ConvertedGroupRows);
    }
}
