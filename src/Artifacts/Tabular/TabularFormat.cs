using Contracts;

namespace Artifacts.Tabular;

/// <summary>The three formats of tables, for reading and writing.</summary>
public static class TabularFormat
{
    public const string Parquet = "parquet";
    public const string Csv = "csv";
    public const string NdJson = "ndjson";

    static readonly (string Format, string[] Extensions)[] Known =
    [
        (Parquet, [".parquet", ".pq"]),
        (Csv, [".csv", ".tsv", ".csv.gz", ".tsv.gz"]),
        (NdJson, [".ndjson", ".jsonl", ".ndjson.gz", ".jsonl.gz"]),
    ];

    public static bool IsKnown(string format) => Known.Any(k => k.Format == format);

    public static bool IsText(string format) => format != Parquet;

    public static IReadOnlyList<string> Extensions(string format) => Known.Single(k => k.Format == format).Extensions;

    /// <summary>What was asked for, or what the name's ending says.</summary>
    public static string Resolve(string? asked, string uri, string field = "input.format")
    {
        if (!string.IsNullOrEmpty(asked))
        {
            var format = asked.ToLowerInvariant();
            return IsKnown(format) ? format : throw Unknown(field, $"{asked} is not a format");
        }
        foreach (var (format, extensions) in Known)
        {
            if (extensions.Any(e => uri.EndsWith(e, StringComparison.OrdinalIgnoreCase)))
                return format;
        }
        throw Unknown(field, $"{uri} does not end in a name that tells its format");
    }

    static FailureException Unknown(string field, string what)
    {
        var message = $"{what}; give {Parquet}, {Csv} or {NdJson}.";
        return new FailureException("format_unknown", message, new FieldFailure(field, "format_unknown", message));
    }
}
