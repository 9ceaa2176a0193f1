using Contracts;
using Interop.DuckDb;

namespace Artifacts.Tabular;

/// <summary>One JSON object a line. Lines that are none are rows too: bad ones, which scoring quarantines.</summary>
public static class NdJsonFile
{
    /// <summary>One column <c>json</c>; NULL where the line is not JSON.</summary>
    public static string ReadSql(string path) =>
        $"read_ndjson_objects({DuckDbSql.PathLiteral(path)}, ignore_errors=true, hive_partitioning=false)";

    /// <summary>The value of one field as text; NULL where it is missing or null.</summary>
    public static string FieldSql(string name) => $"json_extract_string(json, {DuckDbSql.Literal(Pointer(name))})";

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
            var fields = string.Join(", ", names.Select(n => $"{FieldSql(n)} AS {DuckDbSql.Identifier(n)}"));
            var types = TextSample.Types(connection, $"SELECT {fields} FROM ({sample})", names, cancellationToken);
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
