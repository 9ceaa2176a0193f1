using System.Globalization;
using System.IO.Compression;
using System.Text.RegularExpressions;
using Contracts;
using Interop.DuckDb;

namespace Artifacts.Tabular;

public static partial class CsvFile
{
    // Some tens of milliseconds of reading; DuckDB's own sniffer looks at as many.
    internal const int SampleRows = 20_480;

    internal static TabularFile Describe(DuckDbConnection connection, PinnedFile file, string field, CancellationToken cancellationToken)
    {
        var dialect = CsvDialect.Read(file, field);
        try
        {
            var types = TextSample.Types(connection, $"SELECT * FROM {dialect.ReadSql(file.Path)} LIMIT {SampleRows}", dialect.Names, cancellationToken);
            return new TabularFile(file, [.. dialect.Names.Zip(types, (name, type) => new TabularColumn(name, type))], []);
        }
        catch (DuckDbException e)
        {
            throw Translate(file, field, e);
        }
    }

    /// <summary>A structural fault as DuckDB words it, as ours: with the file's own name and the line.</summary>
    public static FailureException Translate(PinnedFile file, string field, DuckDbException e)
    {
        var line = LineNumber().Match(e.Message) is { Success: true } match ? long.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture) : 0;
        var reason = e.Message switch
        {
            var m when m.Contains("Expected Number of Columns") => CountOfColumns().Match(m).Value.Replace('\n', ' '),
            var m when m.Contains("unterminated quote") => "a quote is opened and not closed as it should be",
            var m when m.Contains("not utf-8", StringComparison.OrdinalIgnoreCase) => "it is not UTF-8; save it with that encoding",
            var m when m.Contains("state machine") => "its lines end in different ways, or a quote stands where none may",
            var m => m.Split('\n')[0].Replace(file.Path, file.Source),
        };
        return Malformed(file, field, line, reason, e);
    }

    internal static FailureException Malformed(PinnedFile file, string field, long line, string reason, Exception? inner = null)
    {
        var message = line > 0 ? $"{file.Source}, line {line}: {reason}." : $"{file.Source}: {reason}.";
        return new FailureException(new Failure("input_malformed", $"{field}: {message}", [new(field, "input_malformed", message)]), inner: inner);
    }

    /// <summary>
    /// Records after the header, counted without DuckDB: it has been seen to give no rows, and no error, for line ends it mistook.
    /// </summary>
    public static long CountRecords(string path, CancellationToken cancellationToken = default)
    {
        using var stream = File.OpenRead(path);
        using Stream content = path.EndsWith(".gz", StringComparison.OrdinalIgnoreCase) ? new GZipStream(stream, CompressionMode.Decompress) : stream;
        var buffer = new byte[1 << 20];
        long records = 0;
        bool quoted = false, blank = true;
        for (int length; (length = content.Read(buffer)) > 0;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var rest = buffer.AsSpan(0, length);
            while (rest.Length > 0)
            {
                var next = quoted ? rest.IndexOf((byte)'"') : rest.IndexOfAny((byte)'"', (byte)'\n', (byte)'\r');
                if (next != 0)
                    blank = false;
                if (next < 0)
                    break;
                if (rest[next] == '"')
                {
                    quoted = !quoted;
                    blank = false;
                }
                else
                {
                    records += blank ? 0 : 1;
                    blank = true;
                }
                rest = rest[(next + 1)..];
            }
        }
        return records + (blank ? 0 : 1) - 1;
    }

    [GeneratedRegex(@"CSV Error on Line: (\d+)")]
    private static partial Regex LineNumber();

    [GeneratedRegex(@"Expected Number of Columns: \d+ Found: \d+")]
    private static partial Regex CountOfColumns();
}
