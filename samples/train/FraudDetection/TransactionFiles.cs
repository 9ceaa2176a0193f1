using Interop.DuckDb;
using ServiceDefaults;

namespace Train.FraudDetection;

/// <summary>Any number of transactions as Parquet files: <c>id</c> and the model's 30 features.</summary>
static class TransactionFiles
{
    internal const int RowGroupRows = 122_880;

    /// <returns>The files, in the order of their rows. The same seed and sizes give the same rows.</returns>
    internal static IReadOnlyList<string> Write(string folder, long rows, int files, ulong seed)
    {
        DuckDbLibrary.Load(NativeParts.DuckDb());
        Directory.CreateDirectory(folder);
        using var database = DuckDbDatabase.Open(new DuckDbSettings { Threads = Environment.ProcessorCount, MemoryLimit = "2GB" });
        using (var connection = database.Connect())
            connection.Register(Function(seed));

        // DuckDB makes a sequence of numbers on one thread: the files are what runs side by side.
        var paths = Enumerable.Range(0, files).Select(file => Path.Combine(folder, $"transactions-{file:000}.parquet")).ToArray();
        Parallel.For(0, files, new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount }, file =>
        {
            var (first, end) = (1 + rows * file / files, 1 + rows * (file + 1) / files);
            using var connection = database.Connect();
            connection.Execute(
                $"COPY (SELECT id, unnest(columns) FROM (SELECT range AS id, transaction(range) AS columns FROM range({first}, {end}))) "
                + $"TO {DuckDbSql.Literal(paths[file])} (FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE {RowGroupRows})");
        });
        return paths;
    }

    static ScalarFunction Function(ulong seed)
    {
        var generator = new TransactionGenerator(seed);
        var width = TransactionGenerator.Features.Count;
        var columns = TransactionGenerator.Features.Select(f => new DuckDbField(f.Name, DuckDbType.Of(DuckDbTypeId.Float))).ToArray();
        var tiles = new ThreadLocal<float[]>(() => []);
        return new ScalarFunction("transaction", [DuckDbType.Of(DuckDbTypeId.BigInt)], DuckDbType.Struct(columns), (input, output) =>
        {
            var numbers = input[0].Values<long>();
            var tile = tiles.Value!;
            if (tile.Length < numbers.Length * width)
                tile = tiles.Value = new float[numbers.Length * width];
            for (var i = 0; i < numbers.Length; i++)
                generator.Generate(numbers[i], tile.AsSpan(i * width, width));
            for (var c = 0; c < width; c++)
            {
                var column = output.Child(c).Values<float>();
                for (var i = 0; i < column.Length; i++)
                    column[i] = tile[i * width + c];
            }
        });
    }
}
