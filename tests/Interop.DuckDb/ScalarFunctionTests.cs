using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Text;

namespace Interop.DuckDb.Tests;

/// <summary>Alone in the process: what other tests hold would be taken for a leak.</summary>
[CollectionDefinition(nameof(MeasuresMemory), DisableParallelization = true)]
public sealed class MeasuresMemory;

[Collection(nameof(MeasuresMemory))]
public sealed class ScalarFunctionTests : IDisposable
{
    static readonly DuckDbType BigInt = DuckDbType.Of(DuckDbTypeId.BigInt);
    static readonly DuckDbType Double = DuckDbType.Of(DuckDbTypeId.Double);
    static readonly DuckDbType Varchar = DuckDbType.Of(DuckDbTypeId.Varchar);

    readonly DuckDbDatabase database = DuckDbDatabase.Open(new DuckDbSettings { Threads = 4 });
    readonly DuckDbConnection connection;

    public ScalarFunctionTests() => connection = database.Connect();

    public void Dispose()
    {
        connection.Dispose();
        database.Dispose();
    }

    [Fact]
    public void Gets_nulls_and_decides_itself()
    {
        connection.Register(new ScalarFunction("or_zero", [BigInt], BigInt, (input, output) =>
        {
            for (var row = 0; row < input.Rows; row++)
                output.Values<long>()[row] = input[0].IsNull(row) ? 0 : input[0].Values<long>()[row];
        }));
        Single("SELECT or_zero(NULL)").ShouldBe(0L);
        Single("SELECT sum(or_zero(CASE WHEN i % 2 = 0 THEN i END))::BIGINT FROM range(10000) t(i)").ShouldBe(24_995_000L);
    }

    [Fact]
    public void Rows_it_makes_null_are_null()
    {
        connection.Register(new ScalarFunction("odd_only", [BigInt], BigInt, (input, output) =>
        {
            for (var row = 0; row < input.Rows; row++)
            {
                var value = input[0].Values<long>()[row];
                output.Values<long>()[row] = value;
                if (value % 2 == 0)
                    output.SetNull(row);
            }
        }));
        Single("SELECT count(odd_only(i)) FROM range(100000) t(i)").ShouldBe(50_000L);
    }

    [Fact]
    public void Gives_structs_from_several_threads_with_one_call_a_row()
    {
        var type = DuckDbType.Struct(new("score", Double), new("label", Varchar));
        var threads = new ConcurrentDictionary<int, int>();
        var calls = 0L;
        connection.Register(new ScalarFunction("judge", [BigInt], type, (input, output) =>
        {
            threads[Environment.CurrentManagedThreadId] = 1;
            Interlocked.Add(ref calls, input.Rows);
            var (score, label) = (output.Child(0), output.Child(1));
            for (var row = 0; row < input.Rows; row++)
            {
                var value = input[0].Values<long>()[row];
                score.Values<double>()[row] = value / 2.0;
                label.SetUtf8(row, value % 2 == 0 ? "even"u8 : "odd, and rather longer than it need be"u8);
                if (value % 10 == 0)
                    output.SetNull(row);
            }
        }));
        connection.Execute("CREATE TABLE numbers AS SELECT i FROM range(1000000) t(i)");
        using var result = connection.Query("""
            SELECT count(*), sum(s.score), count(*) FILTER (s.label = 'even'), count(*) FILTER (s.label LIKE 'odd, and%be')
            FROM (SELECT judge(i) AS s FROM numbers) WHERE s IS NOT NULL
            """);
        result.Rows().Single().ShouldBe([900_000L, 225_000_000_000.0, 400_000L, 500_000L]);
        calls.ShouldBe(1_000_000);
        threads.Count.ShouldBeGreaterThan(1);
    }

    [Fact]
    public void Text_in_and_out_keeps_every_byte()
    {
        connection.Register(new ScalarFunction("echo", [Varchar], Varchar, (input, output) =>
        {
            for (var row = 0; row < input.Rows; row++)
                output.SetUtf8(row, input[0].Utf8(row));
        }));
        foreach (var text in new[] { "", "short", "exactly12byt", "exactly13byte", "nul\0inside", "a longer text with a nul\0inside", "😀😀😀😀" })
        {
            using var result = connection.Query("SELECT echo($1)", [text]);
            Encoding.UTF8.GetBytes((string)result.Rows().Single()[0]!).ShouldBe(Encoding.UTF8.GetBytes(text));
        }
    }

    [Fact]
    public void What_its_body_throws_fails_the_query_and_comes_out_as_inner_exception()
    {
        connection.Register(new ScalarFunction("fails", [BigInt], BigInt, (input, output) =>
        {
            input[0].Values<long>().CopyTo(output.Values<long>());
            if (input[0].Values<long>().Contains(700_000))
                throw new InvalidTimeZoneException("not this\0one");
        }));
        connection.Execute("CREATE TABLE numbers AS SELECT i FROM range(1000000) t(i)");
        var error = Should.Throw<DuckDbException>(() => connection.Execute("SELECT sum(fails(i)) FROM numbers"));
        error.Message.ShouldContain("not this one");
        error.InnerException.ShouldBeOfType<InvalidTimeZoneException>();
        Single("SELECT fails(1::BIGINT)").ShouldBe(1L);
    }

    [Fact]
    public void Takes_any_type_and_many_arguments()
    {
        var parameters = Enumerable.Repeat(DuckDbType.Of(DuckDbTypeId.Float), 200).ToArray();
        connection.Register(new ScalarFunction("total", parameters, Double, (input, output) =>
        {
            for (var row = 0; row < input.Rows; row++)
            {
                double sum = 0;
                for (var column = 0; column < input.Count; column++)
                    sum += input[column].Values<float>()[row];
                output.Values<double>()[row] = sum;
            }
        }));
        Single($"SELECT total({string.Join(", ", Enumerable.Range(0, 200).Select(i => $"{i}::FLOAT"))})").ShouldBe(19_900.0);
        connection.Register(new ScalarFunction("kind", [DuckDbType.Of(DuckDbTypeId.Any)], BigInt, (input, output) => output.Values<long>().Fill(input.Rows)));
        Single("SELECT kind([1, 2])").ShouldBe(1L);
    }

    [Fact]
    public void Nothing_is_kept_when_the_database_is_gone()
    {
        var target = RegisterAndForget();
        for (var i = 0; i < 10 && target.IsAlive; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
        target.IsAlive.ShouldBeFalse();
    }

    [Fact]
    public void Memory_stays_bounded_over_many_queries_and_instances()
    {
        Churn(20);
        var before = ResidentMegabytes();
        Churn(60);
        (ResidentMegabytes() - before).ShouldBeLessThan(64);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    static WeakReference RegisterAndForget()
    {
        using var database = DuckDbDatabase.Open(new DuckDbSettings());
        using var connection = database.Connect();
        var function = new ScalarFunction("gone", [BigInt], BigInt, (input, output) => output.Values<long>().Clear());
        connection.Register(function);
        connection.Execute("SELECT gone(i) FROM range(10) t(i)");
        return new WeakReference(function);
    }

    static void Churn(int instances)
    {
        for (var i = 0; i < instances; i++)
        {
            using var database = DuckDbDatabase.Open(new DuckDbSettings());
            using var connection = database.Connect();
            connection.Register(new ScalarFunction("echo", [Varchar], Varchar, (input, output) =>
            {
                for (var row = 0; row < input.Rows; row++)
                    output.SetUtf8(row, input[0].Utf8(row));
            }));
            for (var query = 0; query < 10; query++)
            {
                using var result = connection.Query("SELECT echo('row number ' || i) AS x FROM range(5000) t(i)");
                while (result.Read(out _))
                {
                }
            }
            Should.Throw<DuckDbException>(() => connection.Execute("SELECT error('x')"));
        }
    }

    static long ResidentMegabytes()
    {
        var pages = long.Parse(File.ReadAllText("/proc/self/statm").Split(' ')[1]);
        return pages * Environment.SystemPageSize / (1 << 20);
    }

    object? Single(string sql)
    {
        using var result = connection.Query(sql);
        return result.Rows().Single()[0];
    }
}
