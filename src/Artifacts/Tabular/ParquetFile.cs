using Contracts;
using Interop.DuckDb;

namespace Artifacts.Tabular;

static class ParquetFile
{
    public static TabularFile Describe(DuckDbConnection connection, PinnedFile file, string field, CancellationToken cancellationToken)
    {
        var path = DuckDbSql.PathLiteral(file.Path);
        try
        {
            using var columns = connection.Query($"DESCRIBE SELECT * FROM read_parquet({path}, hive_partitioning=false)", cancellationToken);
            using var groups = connection.Query(
                $"SELECT row_group_id, any_value(row_group_num_rows) FROM parquet_metadata({path}) GROUP BY ALL ORDER BY ALL", cancellationToken);
            return new TabularFile(
                file,
                [.. columns.Rows().Select(r => new TabularColumn((string)r[0]!, (string)r[1]!))],
                [.. groups.Rows().Select(r => (long)r[1]!)]);
        }
        catch (DuckDbException e)
        {
            throw Malformed(file, field, e);
        }
    }

    static FailureException Malformed(PinnedFile file, string field, DuckDbException e)
    {
        var reason = e.Message.Split('\n')[0].Replace(file.Path, file.Source);
        var message = $"{file.Source} is not a whole Parquet file: {reason}";
        return new FailureException(new Failure("input_malformed", $"{field}: {message}", [new(field, "input_malformed", message)]), inner: e);
    }
}
