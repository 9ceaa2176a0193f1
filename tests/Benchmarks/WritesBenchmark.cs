using Npgsql;

namespace Benchmarks;

/// <summary>How often one job writes its saga's row and its job row, whatever its number of shards. Triggers count.</summary>
static class WritesBenchmark
{
    const int RowsPerShard = 100;
    static readonly string[] Tables = ["batch_jobs", "work_jobs", "work_units"];

    internal static async Task RunAsync(BenchmarkOptions options)
    {
        var inputs = options.Shards.ToDictionary(s => s, s => GeneratedInput.Folder(options, (long)s * RowsPerShard, files: 1));
        await using var platform = await Platform.StartAsync(options);
        await using var database = await platform.ConnectAsync();
        await ExecuteAsync(database, Triggers());
        Console.WriteLine($"One job, shards of {RowsPerShard} rows; row versions written, by table");
        Console.WriteLine();
        Console.WriteLine("| shards | saga row | job row | shard rows | shard rows / shards | seconds |");
        Console.WriteLine("|---|---|---|---|---|---|");
        foreach (var (shards, input) in inputs)
        {
            await ExecuteAsync(database, "TRUNCATE benchmark.writes");
            var clock = System.Diagnostics.Stopwatch.StartNew();
            var job = await platform.SubmitAsync(input, RowsPerShard);
            await platform.ManifestAsync(job);
            var seconds = clock.Elapsed.TotalSeconds;
            await platform.CompletedAsync(job);
            var counts = await CountsAsync(database);
            var units = counts.GetValueOrDefault("work_units");
            Console.WriteLine(
                $"| {shards:N0} | {counts.GetValueOrDefault("batch_jobs"):N0} | {counts.GetValueOrDefault("work_jobs"):N0} | {units:N0} "
                + $"| {(double)units / shards:0.0} | {seconds:0.0} |");
        }
        Console.WriteLine();
    }

    static string Triggers() =>
        """
        CREATE SCHEMA benchmark;
        CREATE UNLOGGED TABLE benchmark.writes (name text NOT NULL);
        CREATE FUNCTION benchmark.count() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
            'BEGIN INSERT INTO benchmark.writes VALUES (TG_TABLE_NAME); RETURN NULL; END';
        """
        + string.Concat(Tables.Select(t =>
            $"CREATE TRIGGER benchmark_writes AFTER INSERT OR UPDATE ON sagas.{t} FOR EACH ROW EXECUTE FUNCTION benchmark.count();"));

    static async Task<Dictionary<string, long>> CountsAsync(NpgsqlDataSource database)
    {
        await using var command = database.CreateCommand("SELECT name, count(*) FROM benchmark.writes GROUP BY name");
        await using var reader = await command.ExecuteReaderAsync();
        var counts = new Dictionary<string, long>();
        while (await reader.ReadAsync())
            counts[reader.GetString(0)] = reader.GetInt64(1);
        return counts;
    }

    static async Task ExecuteAsync(NpgsqlDataSource database, string sql)
    {
        await using var command = database.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }
}
