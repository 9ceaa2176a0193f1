using System.Diagnostics;

namespace Interop.DuckDb.Tests;

public sealed class ErrorsTests : IDisposable
{
    readonly DuckDbDatabase database = DuckDbDatabase.Open(new DuckDbSettings { Threads = 2, MemoryLimit = "256MB" });
    readonly DuckDbConnection connection;

    public ErrorsTests() => connection = database.Connect();

    public void Dispose()
    {
        connection.Dispose();
        database.Dispose();
    }

    [Fact]
    public void Bad_sql_says_where() =>
        Should.Throw<DuckDbException>(() => connection.Execute("SELEC 1")).ShouldSatisfyAllConditions(
            e => e.Kind.ShouldBe(DuckDbErrorKind.Parser), e => e.Message.ShouldContain("SELEC"));

    [Fact]
    public void A_missing_file_is_an_io_error() =>
        Should.Throw<DuckDbException>(() => connection.Execute("SELECT * FROM read_parquet('/nowhere.parquet')")).Kind.ShouldBe(DuckDbErrorKind.Io);

    [Fact]
    public void An_error_in_the_middle_of_the_rows_is_thrown_and_the_connection_goes_on()
    {
        Should.Throw<DuckDbException>(() => connection.Execute("SELECT CASE WHEN i = 150000 THEN error('stop here') ELSE i END FROM range(200000) t(i)"))
            .Message.ShouldContain("stop here");
        connection.Execute("SELECT 1");
    }

    [Fact]
    public void A_conversion_error_has_its_kind() =>
        Should.Throw<DuckDbException>(() => connection.Execute("SELECT 'x'::INTEGER")).Kind.ShouldBe(DuckDbErrorKind.Conversion);

    [Fact]
    public void More_memory_than_allowed_is_an_error_not_a_crash() =>
        Should.Throw<DuckDbException>(() => connection.Execute("CREATE TABLE big AS SELECT hash(i) AS h, hash(i + 1) AS g FROM range(100000000) t(i)"))
            .Kind.ShouldBe(DuckDbErrorKind.OutOfMemory);

    [Fact]
    public void A_bad_setting_is_refused_by_name() =>
        Should.Throw<DuckDbException>(() => DuckDbDatabase.Open(new DuckDbSettings { MemoryLimit = "much" })).Message.ShouldContain("much");

    [Fact]
    public async Task Cancellation_ends_a_running_query_soon()
    {
        using var cancel = new CancellationTokenSource();
        var started = new TaskCompletionSource();
        connection.Register(new ScalarFunction("began", [DuckDbType.Of(DuckDbTypeId.BigInt)], DuckDbType.Of(DuckDbTypeId.BigInt), (input, output) =>
        {
            input[0].Values<long>().CopyTo(output.Values<long>());
            started.TrySetResult();
        }));
        var query = Task.Run(() => connection.Execute("SELECT sum(began(i)) FROM range(1000000000000) t(i)", cancel.Token));
        await started.Task;
        var clock = Stopwatch.StartNew();
        await cancel.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(() => query);
        clock.Elapsed.ShouldBeLessThan(TimeSpan.FromSeconds(2));
        connection.Execute("SELECT 1");
    }

    [Fact]
    public async Task Cancellation_at_any_moment_is_heeded_and_never_hits_the_next_query()
    {
        for (var i = 0; i < 50; i++)
        {
            using var cancel = new CancellationTokenSource();
            var query = Task.Run(() => connection.Execute("SELECT count(*) FROM range(1000000000000) t(i) WHERE hash(i) = 7", cancel.Token));
            if (i % 2 == 0)
                await Task.Yield();
            await cancel.CancelAsync();
            await Should.ThrowAsync<OperationCanceledException>(() => query);
            connection.Execute("SELECT 1");
        }
    }

    [Fact]
    public void A_token_cancelled_before_runs_nothing() =>
        Should.Throw<OperationCanceledException>(() => connection.Execute("CREATE TABLE never AS SELECT 1", new CancellationToken(canceled: true)));
}
