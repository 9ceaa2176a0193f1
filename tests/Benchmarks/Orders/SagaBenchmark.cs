using System.Globalization;
using Messaging;
using Messaging.Postgres;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Standalone;
using Support;

namespace Benchmarks.Orders;

/// <summary>
/// Sagas a second and idle latency: ours, the same saga without a database, and the peers, in turn on one PostgreSQL and one RabbitMQ,
/// so that a noisy neighbour meets all of them. PostgreSQL is as durable as delivered.
/// </summary>
static class SagaBenchmark
{
    const int Submitters = 16;
    const int WarmUp = 500;
    const int Latencies = 200;
    const string Ours = "ours";
    const string InMemory = "ours, repository in memory";

    internal static async Task RunAsync(BenchmarkOptions options)
    {
        Directory.CreateDirectory(options.Folder);
        using var folder = new TestFolder(options.Folder);
        await using var postgres = await StartPostgresAsync(folder["data"]);
        await using var rabbitMq = await RabbitMqProcess.StartNewAsync();
        var database = await CreateDatabaseAsync(postgres.ConnectionString);
        var peers = options.Peers.Length > 0 ? new Peers(options.Peers, postgres.ConnectionString) : null;

        Console.WriteLine($"{options.Sagas:N0} sagas, {Submitters} submitters, one unmeasured and {options.Runs} measured rounds, everything on {Environment.ProcessorCount} cores; median (range)");
        Console.WriteLine();
        var (results, limits) = (new Dictionary<string, List<SagaResult>>(), new List<double>());
        var done = 0;
        for (var round = 0; round <= options.Runs; round++)
        {
            List<(string Name, SagaResult Result)> measured = [];
            done += WarmUp + options.Sagas + Latencies;
            measured.Add((Ours, await MeasureAsync(rabbitMq, database, options.Sagas, done)));
            measured.Add((InMemory, await MeasureAsync(rabbitMq, null, options.Sagas, WarmUp + options.Sagas + Latencies)));
            foreach (var kind in peers is null ? [] : Peers.Kinds)
                measured.Add((kind, await peers!.MeasureAsync(kind, options.Sagas)));
            var limit = await PgBench.RunAsync(postgres.ConnectionString);
            foreach (var (name, result) in measured)
                Console.Error.WriteLine($"{(round == 0 ? "unmeasured" : $"round {round}")}: {name}: {result}");
            if (round == 0)
                continue;
            foreach (var (name, result) in measured)
                (results.TryGetValue(name, out var all) ? all : results[name] = []).Add(result);
            if (limit is { } transactions)
                limits.Add(transactions);
        }

        Print(results);
        if (limits.Count > 0)
            Console.WriteLine($"`pgbench -N` on the same server, 16 clients: {Machine.Median(limits):N0} ({limits.Min():N0}-{limits.Max():N0}) transactions/s");
        Console.WriteLine();
    }

    static async Task<EmbeddedPostgres> StartPostgresAsync(string folder)
    {
        var settings = new EmbeddedPostgresOptions { DataFolder = folder };
        await using (var first = await EmbeddedPostgres.StartAsync(settings, NullLogger.Instance))
        await using (var dataSource = NpgsqlDataSource.Create(first.ConnectionString))
        {
            await ExecuteAsync(dataSource, "ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'");
            await ExecuteAsync(dataSource, "ALTER SYSTEM SET max_connections = 200");
        }

        return await EmbeddedPostgres.StartAsync(settings, NullLogger.Instance);
    }

    /// <returns>A connection string with the settings of the platform's own hosts.</returns>
    static async Task<string> CreateDatabaseAsync(string server)
    {
        var text = new NpgsqlConnectionStringBuilder(server) { Database = "orders" };
        await using (var dataSource = NpgsqlDataSource.Create(server))
        {
            await ExecuteAsync(dataSource, "CREATE EXTENSION pg_stat_statements");
            await ExecuteAsync(dataSource, "CREATE DATABASE orders");
        }

        await using (var dataSource = NpgsqlDataSource.Create(text.ConnectionString))
            await ExecuteAsync(dataSource, MessagingSchema.Sql + OrderContext.Tables);
        return text.ConnectionString;
    }

    static async Task<SagaResult> MeasureAsync(RabbitMqProcess rabbitMq, string? database, int count, int expected)
    {
        await using var host = await SagaHost.StartAsync(rabbitMq.Settings(await rabbitMq.CreateVirtualHostAsync()), database);
        await using var statistics = database is null ? null : new Statistics(database);
        await host.RunAsync(WarmUp, Submitters);
        var before = await ReadAsync(statistics);
        var busy = Machine.BusyMilliseconds();
        var rate = await host.RunAsync(count, Submitters);
        var processor = (Machine.BusyMilliseconds() - busy) / count;
        var loaded = await ReadAsync(statistics);
        var latencies = await host.LatenciesAsync(Latencies);
        var idle = await ReadAsync(statistics);
        await host.CheckAsync(expected);
        return new SagaResult(
            rate, processor, Machine.Median(latencies), Machine.Percentile(latencies, 0.99), (loaded - before) / count, (idle - loaded) / Latencies);
    }

    static async Task<Calls> ReadAsync(Statistics? statistics) => statistics is null ? default : await statistics.ReadAsync();

    static void Print(Dictionary<string, List<SagaResult>> results)
    {
        Console.WriteLine("| configuration | sagas/s | CPU ms a saga | idle p50 ms | idle p99 ms | transactions a saga: load, one by one | statements a saga: load, one by one |");
        Console.WriteLine("|---|---|---|---|---|---|---|");
        foreach (var (name, all) in results)
        {
            Console.WriteLine(
                $"| {name} | {Range(all.Select(r => r.Rate), "N0")} | {Processor(all)} | {Range(all.Select(r => r.P50), "0.0")} | {Range(all.Select(r => r.P99), "0.0")} "
                + $"| {Pair(all, c => c.Transactions)} | {Pair(all, c => c.Statements)} |");
        }

        Console.WriteLine();
    }

    // That of the peers is not known: their start and their latencies run in the same process.
    static string Processor(List<SagaResult> all) => all[0].Processor is null ? "" : Range(all.Select(r => r.Processor!.Value), "0.0");

    static string Range(IEnumerable<double> values, string format) =>
        string.Format(CultureInfo.InvariantCulture, $"{{0:{format}}} ({{1:{format}}}-{{2:{format}}})", Machine.Median(values), values.Min(), values.Max());

    static string Pair(List<SagaResult> all, Func<Calls, double> value)
    {
        var load = Machine.Median(all.Select(r => value(r.Load)));
        // The peers are counted under load only.
        return all[0].Idle is { } idle && value(idle) > 0
            ? string.Create(CultureInfo.InvariantCulture, $"{load:0.0}, {Machine.Median(all.Select(r => value(r.Idle!.Value))):0.0}")
            : string.Create(CultureInfo.InvariantCulture, $"{load:0.0}");
    }

    static async Task ExecuteAsync(NpgsqlDataSource dataSource, string sql)
    {
        await using var command = dataSource.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }
}

/// <param name="Rate">Sagas a second.</param>
/// <param name="Processor">Milliseconds of processor time a saga, of all programs: host, broker, database.</param>
/// <param name="P50">Milliseconds from submit to completed, of sagas that have the machine to themselves.</param>
/// <param name="Load">A saga, while many run.</param>
/// <param name="Idle">A saga, one by one.</param>
sealed record SagaResult(double Rate, double? Processor, double P50, double P99, Calls Load, Calls? Idle);

readonly record struct Calls(double Transactions, double Statements)
{
    public static Calls operator -(Calls left, Calls right) => new(left.Transactions - right.Transactions, left.Statements - right.Statements);

    public static Calls operator /(Calls left, int sagas) => new(left.Transactions / sagas, left.Statements / sagas);
}

/// <summary>What the server has counted for one database. Asked over connections to another one, so that asking does not count.</summary>
sealed class Statistics(string database) : IAsyncDisposable
{
    // Backends report after up to a second, and the outbox deletes what it has sent a little later.
    static readonly TimeSpan Reported = TimeSpan.FromSeconds(1.5);

    readonly string _name = new NpgsqlConnectionStringBuilder(database).Database!;
    readonly NpgsqlDataSource _dataSource = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(database) { Database = "sagas" }.ConnectionString);

    public async Task<Calls> ReadAsync()
    {
        await Task.Delay(Reported, TimeProvider.System);
        await using var command = _dataSource.CreateCommand(
            """
            SELECT (SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = $1)::float8,
                   (SELECT coalesce(sum(calls), 0) FROM pg_stat_statements(false) WHERE dbid = (SELECT oid FROM pg_database WHERE datname = $1))::float8
            """);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = _name });
        await using var reader = await command.ExecuteReaderAsync();
        await reader.ReadAsync();
        return new Calls(reader.GetDouble(0), reader.GetDouble(1));
    }

    public ValueTask DisposeAsync() => _dataSource.DisposeAsync();
}
