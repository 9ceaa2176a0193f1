using System.IO.Compression;
using Contracts;
using Interop.DuckDb;

namespace Artifacts.Tabular;

/// <summary>One JSON object a line. Lines that are none are rows too: bad ones, which scoring quarantines.</summary>
public static class NdJsonFile
{
    /// <summary>One column <c>json</c>; NULL where the line is not JSON.</summary>
    public static string ReadSql(string path) =>
        $"read_ndjson_objects({DuckDbSql.PathLiteral(path)}, ignore_errors=true, hive_partitioning=false)";

    /// <summary>A list of the values of all these fields, each as text, NULL where it is missing or null; the line is parsed once for all.</summary>
    public static string FieldsSql(IReadOnlyList<string> names) => names.Count == 0
        ? "CAST([] AS VARCHAR[])"
        : $"json_extract_string(json, [{string.Join(", ", names.Select(n => DuckDbSql.Literal(Pointer(n))))}])";

    /// <summary>Lines that hold anything.</summary>
    public static long CountRecords(string path, CancellationToken cancellationToken = default)
    {
        using var stream = File.OpenRead(path);
        using Stream content = path.EndsWith(".gz", StringComparison.OrdinalIgnoreCase) ? new GZipStream(stream, CompressionMode.Decompress) : stream;
        var buffer = new byte[1 << 20];
        long records = 0;
        var blank = true;
        for (int length; (length = content.Read(buffer)) > 0;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            for (var rest = buffer.AsSpan(0, length); rest.Length > 0;)
            {
                var end = rest.IndexOf((byte)'\n');
                blank &= rest[..(end < 0 ? rest.Length : end)].IndexOfAnyExcept(" \t\r"u8) < 0;
                if (end < 0)
                    break;
                records += blank ? 0 : 1;
                blank = true;
                rest = rest[(end + 1)..];
            }
        }
        return records + (blank ? 0 : 1);
    }

    internal static TabularFile Describe(DuckDbConnection connection, PinnedFile file, string field, CancellationToken cancellationToken)
    {
        try
        {
            var sample = $"SELECT json FROM {ReadSql(file.Path)} LIMIT {CsvFile.SampleRows}";
            using var keys = connection.Query(
                $"SELECT k FROM (SELECT unnest(json_keys(json)) AS k FROM ({sample}) WHERE json_type(json) = 'OBJECT') GROUP BY k ORDER BY k", cancellationToken);
            string[] names = [.. keys.Rows().Select(r => (string)r[0]!).Where(n => !n.Contains('\0'))];
            if (names.Length == 0)
                throw CsvFile.Malformed(file, field, 0, "no line of its first part is a JSON object with fields");
            var fields = string.Join(", ", names.Select((n, i) => $"v[{i + 1}] AS {DuckDbSql.Identifier(n)}"));
            // All fields in one call: each call parses the lines into memory of its own, and a wide table has many fields.
            var types = TextSample.Types(connection, $"SELECT {fields} FROM (SELECT {FieldsSql(names)} AS v FROM ({sample}))", names, cancellationToken);
            return new TabularFile(file, [.. names.Zip(types, (name, type) => new TabularColumn(name, type))], []);
        }
        catch (DuckDbException e)
        {
            throw CsvFile.Malformed(file, field, 0, e.Message.Split('\n')[0].Replace(file.Path, file.Source), e);
        }
    }

    /// <summary>Each file with the fields of all.</summary>
    internal static IReadOnlyList<TabularFile> Merge(IReadOnlyList<TabularFile> files)
    {
        var columns = files.SelectMany(f => f.Columns)
            .GroupBy(c => c.Name)
            .Select(g => new TabularColumn(g.Key, TextSample.Widest(g.Select(c => c.Type))))
            .OrderBy(c => c.Name, StringComparer.Ordinal)
            .ToArray();
        return [.. files.Select(f => f with { Columns = columns })];
    }

    // RFC 6901: the names of JSON may hold anything.
    static string Pointer(string name) => '/' + name.Replace("~", "~0").Replace("/", "~1");
}
