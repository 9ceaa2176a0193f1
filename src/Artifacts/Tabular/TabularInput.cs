using Contracts;
using Contracts.BatchInference;
using Interop.DuckDb;

namespace Artifacts.Tabular;

/// <param name="Type">
/// DuckDB's name. In text files what a sample of the values looks like: BIGINT, DOUBLE, BOOLEAN, VARCHAR where none is a number,
/// or NULL where there is no value to look at.
/// </param>
public sealed record TabularColumn(string Name, string Type);

/// <param name="Columns">In the file's order.</param>
/// <param name="RowGroups">Rows of each Parquet row group; empty for text, whose rows nobody has counted.</param>
public sealed record TabularFile(PinnedFile File, IReadOnlyList<TabularColumn> Columns, IReadOnlyList<long> RowGroups)
{
    public long Rows => RowGroups.Sum();
}

/// <summary>A table given by URI: its files, and what was found in those that were opened.</summary>
/// <param name="Files">All files behind the URI, also those not opened.</param>
/// <param name="Opened">The first files, as many as were asked for.</param>
public sealed record TabularInput(string Format, IReadOnlyList<PinnedFile> Files, IReadOnlyList<TabularFile> Opened)
{
    /// <summary>Enough to refuse most faulty requests while the caller waits.</summary>
    public const int FilesAtSubmit = 8;

    /// <summary>In a converted file: why a line is no record.</summary>
    public const string MalformedColumn = "__malformed";

    static readonly HashSet<string> Reserved = new(StringComparer.OrdinalIgnoreCase) { "file_row_number", MalformedColumn };

    public bool IsText => TabularFormat.IsText(Format);

    /// <summary>Of the first file. All opened files have the same.</summary>
    public IReadOnlyList<TabularColumn> Columns => Opened[0].Columns;

    /// <summary>Lists the files and opens the first of them.</summary>
    /// <param name="mostOpened">All of them when null. The API opens a few; planning opens all, by <see cref="Describe"/>, in steps.</param>
    /// <param name="field">What the caller called the URI; failures name it.</param>
    /// <exception cref="FailureException">Missing, empty, unreadable, malformed, or files whose columns differ.</exception>
    public static TabularInput Open(
        InputSpec spec, ArtifactStore store, int? mostOpened = null, string field = "input.uri", CancellationToken cancellationToken = default)
    {
        var files = List(spec, store, field);
        return Of(spec, files, Describe([.. files.Take(mostOpened ?? files.Count)], spec.Format, null, field, cancellationToken), field);
    }

    /// <inheritdoc cref="Open"/>
    public static async Task<TabularInput> OpenAsync(
        InputSpec spec, ArtifactStore store, int? mostOpened = null, string field = "input.uri", CancellationToken cancellationToken = default)
    {
        if (!RemoteUri.Is(spec.Uri))
            return Open(spec, store, mostOpened, field, cancellationToken);
        var files = await ListAsync(spec, store, field, cancellationToken);
        using var tables = await LocalTables.FetchAsync(store, [.. files.Take(mostOpened ?? files.Count)], spec.Format, cancellationToken);
        return Of(spec, files, Describe(tables.Files, spec.Format, null, field, cancellationToken), field);
    }

    static TabularInput Of(InputSpec spec, IReadOnlyList<PinnedFile> files, IReadOnlyList<TabularFile> opened, string field) =>
        opened.Count == files.Count && !TabularFormat.IsText(spec.Format) && opened.All(f => f.Rows == 0)
            ? throw FileUri.Refuse("input_empty", field, "There are no rows in it.")
            : new TabularInput(spec.Format, files, opened);

    public static IReadOnlyList<PinnedFile> List(InputSpec spec, ArtifactStore store, string field = "input.uri") =>
        WithinLimit(spec, store, store.List(spec.Uri, TabularFormat.Extensions(spec.Format), field), field);

    public static async ValueTask<IReadOnlyList<PinnedFile>> ListAsync(
        InputSpec spec, ArtifactStore store, string field = "input.uri", CancellationToken cancellationToken = default) =>
        WithinLimit(spec, store, await store.ListAsync(spec.Uri, TabularFormat.Extensions(spec.Format), field, cancellationToken), field);

    static IReadOnlyList<PinnedFile> WithinLimit(InputSpec spec, ArtifactStore store, IReadOnlyList<PinnedFile> files, string field)
    {
        if (TabularFormat.IsText(spec.Format) && files.FirstOrDefault(f => f.Length > store.Options.MaxTextFileBytes) is { } large)
        {
            throw FileUri.Refuse("input_too_large", field,
                $"{large.Source} has {large.Length} bytes; text files may have {store.Options.MaxTextFileBytes}. Split it, or convert it to Parquet, which has no such limit.");
        }
        return files;
    }

    /// <summary>Opens each of the files; they must have the columns of <paramref name="expected"/>, or of the first.</summary>
    public static IReadOnlyList<TabularFile> Describe(
        IReadOnlyList<PinnedFile> files, string format, IReadOnlyList<TabularColumn>? expected = null,
        string field = "input.uri", CancellationToken cancellationToken = default) =>
        ReaderDatabases.Use(connection => Describe(connection, files, format, expected, field, cancellationToken));

    static IReadOnlyList<TabularFile> Describe(
        DuckDbConnection connection, IReadOnlyList<PinnedFile> files, string format, IReadOnlyList<TabularColumn>? expected,
        string field, CancellationToken cancellationToken)
    {
        var opened = new List<TabularFile>(files.Count);
        foreach (var file in files)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var described = format switch
            {
                TabularFormat.Parquet => ParquetFile.Describe(connection, file, field, cancellationToken),
                TabularFormat.Csv => CsvFile.Describe(connection, file, field, cancellationToken),
                _ => NdJsonFile.Describe(connection, file, field, cancellationToken),
            };
            RequireUsableNames(described, field);
            // A record of NDJSON may leave fields out, so each file shows other ones.
            if (format != TabularFormat.NdJson)
            {
                expected ??= described.Columns;
                Compare(expected, described, format, field);
            }
            opened.Add(described);
        }
        return format == TabularFormat.NdJson && opened.Count > 0 ? NdJsonFile.Merge(opened) : opened;
    }

    // DuckDB gives each row its number, and the conversion its fault, under names that a column of the file would take the place of.
    static void RequireUsableNames(TabularFile file, string field)
    {
        if (file.Columns.FirstOrDefault(c => Reserved.Contains(c.Name)) is not { } column)
            return;
        var message = $"{file.File.Source} has a column {column.Name}, a name this platform uses itself; rename it.";
        throw new FailureException("column_reserved", $"{field}: {message}", new FieldFailure($"columns.{column.Name}", "column_reserved", message));
    }

    static void Compare(IReadOnlyList<TabularColumn> expected, TabularFile file, string format, string field)
    {
        var found = file.Columns.ToDictionary(c => c.Name, c => c.Type);
        var failures = new List<FieldFailure>();
        foreach (var column in expected)
        {
            if (!found.Remove(column.Name, out var type))
                failures.Add(Differs(column.Name, "is missing"));
            else if (type != column.Type && !TabularFormat.IsText(format))
                failures.Add(Differs(column.Name, $"is {type}, and {column.Type} in the first file"));
        }
        failures.AddRange(found.Keys.Select(name => Differs(name, "is not in the first file")));
        if (failures.Count > 0)
            throw new FailureException("columns_differ", $"{field}: {string.Join(' ', failures.Select(f => f.Message))} All files of an input need the same columns.", [.. failures]);

        FieldFailure Differs(string column, string how) =>
            new($"columns.{column}", "columns_differ", $"In {file.File.Source} the column {column} {how}.");
    }
}
