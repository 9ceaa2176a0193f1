using Artifacts.Tabular;
using Contracts;
using Contracts.BatchInference;

namespace Artifacts.Tests;

public sealed class TabularInputTests : IDisposable
{
    readonly TemporaryFolder folder = new();
    readonly ArtifactStore store;

    public TabularInputTests() => store = new ArtifactStore(new ArtifactOptions { InputRoots = [folder.Path], MaxTextFileBytes = 10_000_000 });

    public void Dispose() => folder.Dispose();

    TabularInput Open(string uri, string? format = null) =>
        TabularInput.Open(new InputSpec(uri, TabularFormat.Resolve(format, uri)), store);

    Failure Refused(string uri, string? format = null) => Should.Throw<FailureException>(() => Open(uri, format)).Failure;

    [Fact]
    public void Parquet_gives_columns_and_row_groups()
    {
        var input = Open(folder.WriteParquet("x.parquet", "SELECT i AS id, i::FLOAT AS a, 'x' AS s, i::DECIMAL(9,2) AS d FROM range(5000) t(i)", ", ROW_GROUP_SIZE 2048"));
        input.Columns.ShouldBe([new("id", "BIGINT"), new("a", "FLOAT"), new("s", "VARCHAR"), new("d", "DECIMAL(9,2)")]);
        input.Opened[0].RowGroups.ShouldBe([2048, 2048, 904]);
        input.IsText.ShouldBeFalse();
    }

    [Fact]
    public void Truncated_and_false_parquet_is_malformed_and_named()
    {
        folder.WriteParquet("whole.parquet", "SELECT i FROM range(100000) t(i)");
        var bytes = File.ReadAllBytes(folder["whole.parquet"]);
        foreach (var (name, content) in new[] { ("cut.parquet", bytes[..(bytes.Length / 2)]), ("text.parquet", "a,b\n1,2\n"u8.ToArray()), ("short.parquet", bytes[..3]) })
        {
            var failure = Refused(folder.Write(name, content));
            failure.Code.ShouldBe("input_malformed");
            failure.Message.ShouldContain(name);
            failure.Message.ShouldNotContain(folder.Path);
        }
    }

    [Fact]
    public void Files_of_one_input_need_the_same_columns()
    {
        folder.WriteParquet("d/1.parquet", "SELECT 1::BIGINT AS id, 1::FLOAT AS a, 2 AS b");
        folder.WriteParquet("d/2.parquet", "SELECT 2 AS b, 1::FLOAT AS a, 1::BIGINT AS id");
        Open(FileUri.FromPath(folder["d"]), "parquet").Opened.Count.ShouldBe(2);
        folder.WriteParquet("d/3.parquet", "SELECT 1::BIGINT AS id, 'x' AS a, 3 AS c");
        var failure = Refused(FileUri.FromPath(folder["d"]), "parquet");
        failure.Code.ShouldBe("columns_differ");
        failure.Fields.Select(f => f.Field).ShouldBe(["columns.a", "columns.b", "columns.c"]);
        failure.Message.ShouldContain("3.parquet");
        TabularInput.Open(new InputSpec(FileUri.FromPath(folder["d"]), "parquet"), store, mostOpened: 1).Files.Count.ShouldBe(3);
    }

    [Fact]
    public void No_rows_at_all_is_an_empty_input() =>
        Refused(folder.WriteParquet("x.parquet", "SELECT 1 AS a WHERE false")).Code.ShouldBe("input_empty");

    [Theory]
    [InlineData(",", "\n")]
    [InlineData(";", "\r\n")]
    [InlineData("\t", "\n")]
    [InlineData("|", "\r\n")]
    public void Csv_is_read_in_its_own_dialect(string separator, string newLine)
    {
        string[] lines = ["id,\"name, of\",a,b,c,none", "1,\"x, \"\"y\"\"\n\",1.5,true,word,", "2,z,oops,false,12,"];
        var input = Open(folder.Write("x.csv", "\uFEFF" + string.Join(newLine, lines.Select(l => l.Replace(",", separator))) + newLine));
        input.Columns.ShouldBe([new("id", "BIGINT"), new($"name{separator} of", "VARCHAR"), new("a", "DOUBLE"), new("b", "BOOLEAN"), new("c", "DOUBLE"), new("none", "NULL")]);
        input.IsText.ShouldBeTrue();
    }

    [Theory]
    [InlineData("id,a\n1,2\n3\n", "line 3")]
    [InlineData("id,a\n1,2\n3,4,5\n", "line 3")]
    [InlineData("id,a\n1,2\n3,\"4\n5,6\n", "line 3")]
    [InlineData("1,2\n3,4\n", "header")]
    [InlineData("id,\"a\nb\"\n1,2\n", "line break")]
    [InlineData("id,a\n1,2\r\n3,4\n", "different ways")]
    [InlineData("id,,a\n1,2,3\n", "no name")]
    [InlineData("id,ID\n1,2\n", "twice")]
    [InlineData("\n\n", "header")]
    public void Csv_with_a_broken_structure_is_malformed_with_its_line(string content, string expected)
    {
        var failure = Refused(folder.Write("broken.csv", content));
        failure.Code.ShouldBe("input_malformed");
        failure.Message.ShouldContain("broken.csv");
        failure.Message.ShouldContain(expected);
        failure.Fields.ShouldHaveSingleItem().Field.ShouldBe("input.uri");
    }

    [Theory]
    [InlineData("id,a\n1,2\n3,4\n", 2)]
    [InlineData("id,a\r\n1,\"x\ny\"\r\n\r\n3,\"\"\"\"", 2)]
    [InlineData("id,a", 0)]
    [InlineData("id,a\r1,2\r", 1)]
    public void Records_are_counted_across_quoted_line_breaks(string content, long expected)
    {
        folder.Write("count.csv", content);
        CsvFile.CountRecords(folder["count.csv"]).ShouldBe(expected);
    }

    [Fact]
    public void Csv_in_another_encoding_is_malformed()
    {
        var latin = Refused(folder.Write("latin.csv", [.. "id,name\n1,M"u8, 0xFC, .. "ller\n"u8]));
        (latin.Code, latin.Message.Contains("UTF-8"), latin.Message.Contains("latin.csv, line 2")).ShouldBe(("input_malformed", true, true));
        Refused(folder.Write("utf16.csv", System.Text.Encoding.Unicode.GetPreamble().Concat(System.Text.Encoding.Unicode.GetBytes("id,a\n1,2\n")).ToArray()))
            .Message.ShouldContain("UTF-8");
        Refused(folder.Write("false.csv.gz", "id,a\n1,2\n")).Message.ShouldContain("gzip");
    }

    [Fact]
    public void Text_files_have_a_size_bound_with_advice() =>
        Refused(folder.Write("big.csv", new byte[10_000_001])).ShouldSatisfyAllConditions(f => f.Code.ShouldBe("input_too_large"), f => f.Message.ShouldContain("Parquet"));

    [Fact]
    public void NdJson_shows_the_fields_of_all_its_lines()
    {
        var input = Open(folder.Write("x.ndjson", "{\"id\":1,\"a\":2.5}\nnot json\n{\"id\":2,\"b/~c\":\"x\",\"t\":true}\n[1]\n"));
        input.Columns.ShouldBe([new("a", "DOUBLE"), new("b/~c", "VARCHAR"), new("id", "BIGINT"), new("t", "BOOLEAN")]);
        Refused(folder.Write("none.ndjson", "1\n2\n")).Code.ShouldBe("input_malformed");
    }

    [Fact]
    public void The_format_comes_from_the_request_or_the_name()
    {
        TabularFormat.Resolve(null, "file:///a.PARQUET").ShouldBe("parquet");
        TabularFormat.Resolve("CSV", "file:///a").ShouldBe("csv");
        TabularFormat.Resolve("", "file:///a.jsonl").ShouldBe("ndjson");
        Should.Throw<FailureException>(() => TabularFormat.Resolve(null, "file:///folder")).Failure.Fields[0].Field.ShouldBe("input.format");
        Should.Throw<FailureException>(() => TabularFormat.Resolve("xlsx", "file:///a.csv"));
    }

    [Fact]
    public void Names_the_platform_uses_itself_are_refused()
    {
        Refused(folder.WriteParquet("x.parquet", "SELECT 1 AS a, 2 AS \"File_Row_Number\"")).Code.ShouldBe("column_reserved");
        Refused(folder.Write("x.csv", "a,__malformed\n1,2\n")).Fields.ShouldHaveSingleItem().Field.ShouldBe("columns.__malformed");
    }

    [Fact]
    public void Names_of_folders_add_no_columns() =>
        Open(folder.WriteParquet("year=2024/x.parquet", "SELECT 1 AS a")).Columns.ShouldBe([new("a", "INTEGER")]);
}
