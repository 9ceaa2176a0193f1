using Interop.DuckDb;
using ServiceDefaults;

namespace Train.Tables;

/// <summary>Parquet by way of DuckDB. One thread, so that the same rows give the same bytes.</summary>
sealed class ParquetFiles : IDisposable
{
    readonly DuckDbDatabase database;
    readonly DuckDbConnection connection;

    internal ParquetFiles()
    {
        DuckDbLibrary.Load(NativeParts.DuckDb());
        database = DuckDbDatabase.Open(new DuckDbSettings { Threads = 1 });
        connection = database.Connect();
    }

    /// <summary>The same rows as a CSV file whose columns have the types given; an empty field is NULL.</summary>
    internal byte[] FromCsv(byte[] csv, IReadOnlyList<(string Name, string Type)> columns)
    {
        var folder = Directory.CreateTempSubdirectory("sagas-train-");
        try
        {
            var (source, target) = (Path.Combine(folder.FullName, "rows.csv"), Path.Combine(folder.FullName, "rows.parquet"));
            File.WriteAllBytes(source, csv);
            var types = string.Join(", ", columns.Select(c => $"{DuckDbSql.Literal(c.Name)}: {DuckDbSql.Literal(c.Type)}"));
            connection.Execute(
                $"COPY (SELECT * FROM read_csv({DuckDbSql.PathLiteral(source)}, header = true, delim = ',', nullstr = '', columns = {{{types}}})) "
                + $"TO {DuckDbSql.Literal(target)} (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 15)");
            return File.ReadAllBytes(target);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    public void Dispose()
    {
        connection.Dispose();
        database.Dispose();
    }
}
