using Interop.DuckDb;
using Train.FraudDetection;

namespace Train.Tests;

public sealed class TransactionTests
{
    [Fact]
    public void A_row_depends_on_the_seed_and_its_number_alone()
    {
        var width = TransactionGenerator.Features.Count;
        var (alone, after, other) = (new float[width], new float[width], new float[width]);
        new TransactionGenerator(5).Generate(1_000_000, alone);
        var generator = new TransactionGenerator(5);
        for (var number = 999_990; number <= 1_000_000; number++)
            generator.Generate(number, after);
        new TransactionGenerator(6).Generate(1_000_000, other);

        after.ShouldBe(alone);
        other.ShouldNotBe(alone);
        alone.ShouldAllBe(v => float.IsFinite(v));
    }

    [Fact]
    public void Generated_files_hold_each_row_once_and_no_two_alike()
    {
        var folder = Directory.CreateTempSubdirectory("sagas-transactions-");
        try
        {
            var files = TransactionFiles.Write(folder.FullName, 10_001, 3, seed: 5);

            files.Count.ShouldBe(3);
            using var database = DuckDbDatabase.Open(new DuckDbSettings());
            using var connection = database.Connect();
            var all = $"read_parquet({DuckDbSql.Literal(folder.FullName + "/*.parquet")})";
            Count(connection, $"SELECT count(*) FROM {all}").ShouldBe(10_001);
            Count(connection, $"SELECT count(DISTINCT id) FROM {all} WHERE id BETWEEN 1 AND 10001").ShouldBe(10_001);
            Count(connection, $"SELECT count(*) FROM (SELECT DISTINCT * EXCLUDE id FROM {all})").ShouldBe(10_001);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    static long Count(DuckDbConnection connection, string sql)
    {
        using var result = connection.Query(sql);
        return (long)result.Rows()[0][0]!;
    }
}
