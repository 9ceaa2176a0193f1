using System.Globalization;
using System.IO.Compression;
using System.Text;
using Contracts;
using Interop.DuckDb;

namespace Artifacts.Tabular;

/// <summary>
/// What the first record of a CSV file tells: its names and what separates them. Read by us, because DuckDB's own guess takes a
/// file with one ragged row for a table of one column.
/// </summary>
/// <param name="Separator">One of <c>, ; tab |</c>. Quotes are <c>"</c>, doubled inside quotes (RFC 4180).</param>
public sealed record CsvDialect(char Separator, IReadOnlyList<string> Names)
{
    // Room for a header of some ten thousand columns.
    const int MostHeaderBytes = 1 << 20;
    static readonly char[] Separators = [',', ';', '\t', '|'];
    static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    public static CsvDialect Read(PinnedFile file, string field)
    {
        var header = Header(file, field);
        var separator = Separators.MaxBy(s => Split(header, s).Count);
        var names = Split(header, separator);
        if (names.All(n => n.Length == 0))
            throw CsvFile.Malformed(file, field, 1, "the header is empty; the first line must name the columns");
        if (names.Contains(""))
            throw CsvFile.Malformed(file, field, 1, $"column {names.IndexOf("") + 1} has no name");
        // With a quoted line break in its first line DuckDB mistakes how lines end, and gives no rows at all.
        if (header.AsSpan().IndexOfAny('\r', '\n') >= 0)
            throw CsvFile.Malformed(file, field, 1, "a column's name has a line break, or a quote in the first line is not closed");
        if (names.FirstOrDefault(IsNumber) is { } number)
            throw CsvFile.Malformed(file, field, 1, $"a header is needed, and {number} is a number, not a column's name");
        if (names.GroupBy(n => n, StringComparer.OrdinalIgnoreCase).FirstOrDefault(g => g.Count() > 1) is { } twice)
            throw CsvFile.Malformed(file, field, 1, $"the column {twice.Key} is named twice");
        return new CsvDialect(separator, names);
    }

    /// <summary>A table function that reads exactly this dialect, every value as text; an empty value is NULL.</summary>
    public string ReadSql(string path)
    {
        var columns = string.Join(", ", Names.Select(n => $"{DuckDbSql.Literal(n)}: 'VARCHAR'"));
        return $"read_csv({DuckDbSql.PathLiteral(path)}, auto_detect=false, header=true, delim={DuckDbSql.Literal(Separator.ToString())}, " +
            $"quote='\"', escape='\"', strict_mode=true, hive_partitioning=false, columns={{{columns}}})";
    }

    static string Header(PinnedFile file, string field)
    {
        var bytes = new byte[MostHeaderBytes];
        int length;
        try
        {
            using var stream = File.OpenRead(file.Path);
            using Stream content = file.Path.EndsWith(".gz", StringComparison.OrdinalIgnoreCase) ? new GZipStream(stream, CompressionMode.Decompress) : stream;
            length = content.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
        }
        catch (InvalidDataException)
        {
            throw CsvFile.Malformed(file, field, 1, "it ends in .gz and is not a gzip file");
        }
        var start = bytes.AsSpan().StartsWith("\uFEFF"u8) ? 3 : 0;
        var end = EndOfRecord(bytes.AsSpan(start, length - start));
        if (end < 0 && length == MostHeaderBytes)
            throw CsvFile.Malformed(file, field, 1, "the first line has no end within a megabyte; is it a CSV file?");
        try
        {
            var text = Strict.GetString(bytes, start, end < 0 ? length - start : end);
            return text.Contains('\0') ? throw new DecoderFallbackException() : text;
        }
        catch (DecoderFallbackException)
        {
            throw CsvFile.Malformed(file, field, 1, "it is not UTF-8; save it with that encoding");
        }
    }

    static int EndOfRecord(ReadOnlySpan<byte> bytes)
    {
        var quoted = false;
        for (var i = 0; i < bytes.Length; i++)
        {
            if (bytes[i] == '"')
                quoted = !quoted;
            else if (bytes[i] is (byte)'\n' or (byte)'\r' && !quoted)
                return i;
        }
        return -1;
    }

    static List<string> Split(string record, char separator)
    {
        var names = new List<string>();
        var name = new StringBuilder();
        var quoted = false;
        for (var i = 0; i < record.Length; i++)
        {
            if (record[i] == '"' && quoted && i + 1 < record.Length && record[i + 1] == '"')
                name.Append(record[i++]);
            else if (record[i] == '"')
                quoted = !quoted;
            else if (record[i] == separator && !quoted)
            {
                names.Add(name.ToString());
                name.Clear();
            }
            else
                name.Append(record[i]);
        }
        names.Add(name.ToString());
        return names;
    }

    static bool IsNumber(string name) => double.TryParse(name, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number);
}
