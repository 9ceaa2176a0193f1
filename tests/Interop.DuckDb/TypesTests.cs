namespace Interop.DuckDb.Tests;

public sealed class TypesTests : IDisposable
{
    readonly DuckDbDatabase database = DuckDbDatabase.Open(new DuckDbSettings { Threads = 2 });
    readonly DuckDbConnection connection;

    public TypesTests() => connection = database.Connect();

    public void Dispose()
    {
        connection.Dispose();
        database.Dispose();
    }

    [Fact]
    public void Reads_every_plain_type_and_null()
    {
        using var result = connection.Query("""
            SELECT true, (-1)::TINYINT, (-2)::SMALLINT, (-3)::INTEGER, (-4)::BIGINT, 1::UTINYINT, 2::USMALLINT, 3::UINTEGER, 4::UBIGINT,
                   (-5)::HUGEINT, 5::UHUGEINT, 1.5::FLOAT, 2.5::DOUBLE, 'text', 'ab'::BLOB, DATE '2020-02-29',
                   TIMESTAMP '2020-02-29 12:00:00', 12.34::DECIMAL(9,2), (-12.34)::DECIMAL(30,2), NULL::DOUBLE,
                   {'a': 1, 'b': 'x'}, [1, NULL, 3]
            """);
        var row = result.Rows().ShouldHaveSingleItem();
        row[..15].ShouldBe([true, (sbyte)-1, (short)-2, -3, -4L, (byte)1, (ushort)2, 3u, 4ul, (Int128)(-5), (UInt128)5, 1.5f, 2.5, "text", "ab"u8.ToArray()]);
        row[15].ShouldBe(new DateOnly(2020, 2, 29));
        row[16].ShouldBe(new DateTime(2020, 2, 29, 12, 0, 0));
        row[17].ShouldBe(12.34m);
        row[18].ShouldBe(-12.34m);
        row[19].ShouldBeNull();
        row[20].ShouldBe(new Dictionary<string, object?> { ["a"] = 1, ["b"] = "x" });
        row[21].ShouldBe(new object?[] { 1, null, 3 });
    }

    [Fact]
    public void Gives_columns_with_names_and_types()
    {
        using var result = connection.Query("SELECT 1 AS one, 1.5::DECIMAL(4,1) AS \"two words\", {'x': 'y'} AS s");
        result.Fields.Select(f => (f.Name, f.Type.Id)).ShouldBe(
            [("one", DuckDbTypeId.Integer), ("two words", DuckDbTypeId.Decimal), ("s", DuckDbTypeId.Struct)]);
        result.Fields[2].Type.Fields.ShouldHaveSingleItem().Name.ShouldBe("x");
    }

    [Fact]
    public void Reads_many_chunks_without_copying()
    {
        using var result = connection.Query("SELECT i, CASE WHEN i % 3 = 0 THEN NULL ELSE i END AS n FROM range(100000) t(i)");
        long sum = 0, nulls = 0, rows = 0;
        while (result.Read(out var columns))
        {
            var values = columns[0].Values<long>();
            for (var row = 0; row < columns.Rows; row++)
            {
                sum += values[row];
                nulls += columns[1].IsNull(row) ? 1 : 0;
            }
            rows += columns.Rows;
        }
        (rows, sum, nulls).ShouldBe((100_000, 4_999_950_000, 33_334));
    }

    [Theory]
    [InlineData("")]
    [InlineData("twelve bytes")]
    [InlineData("thirteen byte")]
    [InlineData("with\0embedded\0NULs that are long")]
    [InlineData("ünï¢ödé 😀 and more of it")]
    public void Text_of_any_length_and_content_survives_the_round_trip(string text)
    {
        using var result = connection.Query("SELECT $1, length($1), $2", [text, text.Length == 0 ? null : 1L]);
        var row = result.Rows().Single();
        row[0].ShouldBe(text);
        row[1].ShouldBe((long)text.EnumerateRunes().Count());
    }

    [Fact]
    public void Binds_every_kind_of_parameter()
    {
        using var statement = connection.Prepare("SELECT $1::BIGINT, $2::DOUBLE, $3::BOOLEAN, $4::VARCHAR, $5::BLOB, $6::INTEGER");
        for (var i = 0; i < 2; i++)
        {
            using var result = statement.Query([long.MinValue + i, 0.1, true, "x", Array.Empty<byte>(), null]);
            result.Rows().Single().ShouldBe([long.MinValue + i, 0.1, true, "x", Array.Empty<byte>(), null]);
        }
        Should.Throw<ArgumentException>(() => statement.Query([1L]));
    }

    [Theory]
    [InlineData("it's \"quoted\" \\ ; -- DROP")]
    [InlineData("ü")]
    public void Quoting_lets_nothing_out(string text)
    {
        using var result = connection.Query($"SELECT {DuckDbSql.Literal(text)} AS {DuckDbSql.Identifier(text)}");
        result.Fields[0].Name.ShouldBe(text);
        result.Rows().Single()[0].ShouldBe(text);
    }

    [Fact]
    public void A_NUL_in_a_name_or_in_sql_is_refused()
    {
        Should.Throw<ArgumentException>(() => DuckDbSql.Literal("a\0b"));
        Should.Throw<ArgumentException>(() => DuckDbSql.Identifier("a\0b"));
        Should.Throw<ArgumentException>(() => connection.Execute("SELECT 1\0"));
    }

    [Fact]
    public void A_path_with_glob_letters_is_that_file_only()
    {
        var folder = Directory.CreateTempSubdirectory();
        try
        {
            var odd = Path.Combine(folder.FullName, "a[1]*?.parquet");
            connection.Execute($"COPY (SELECT 1 AS x) TO {DuckDbSql.Literal(odd)} (FORMAT parquet)").ShouldBe(1);
            connection.Execute($"COPY (SELECT 2 AS x) TO {DuckDbSql.Literal(Path.Combine(folder.FullName, "a1zz.parquet"))} (FORMAT parquet)");
            using var result = connection.Query($"SELECT x FROM read_parquet({DuckDbSql.PathLiteral(odd)})");
            result.Rows().ShouldHaveSingleItem()[0].ShouldBe(1);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public void Counts_the_rows_that_were_written()
    {
        connection.Execute("CREATE TABLE t AS SELECT i FROM range(5000) r(i)");
        connection.Execute("DELETE FROM t WHERE i < 10").ShouldBe(10);
    }

    [Fact]
    public void Parquet_and_json_are_built_in_and_nothing_is_loaded_from_elsewhere()
    {
        using var result = connection.Query("""
            SELECT name, value FROM duckdb_settings() WHERE name IN ('autoload_known_extensions', 'autoinstall_known_extensions', 'threads') ORDER BY 1
            """);
        result.Rows().Select(r => r[1]).ShouldBe(["false", "false", "2"]);
        connection.Execute("SELECT json_extract_string('{\"a\":1}', '$.a')");
    }
}
