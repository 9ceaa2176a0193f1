using Contracts;

namespace GpuWorker.Tests.BatchInference;

public sealed class FileConverterTests : IDisposable
{
    static readonly string[] Iris = ["a", "b"];

    readonly Workbench bench = new();

    public void Dispose() => bench.Dispose();

    [Fact]
    public async Task A_csv_file_scores_like_its_parquet_twin()
    {
        var parquet = await bench.ScoreAsync(bench.Shard(Workbench.Sample("transactions.parquet"), "fraud-detection-model", ["transaction_id"]));
        var csv = await bench.ScoreAsync(await bench.ConvertedShardAsync(Workbench.Sample("transactions.csv"), "csv", "fraud-detection-model", ["transaction_id"]));
        csv.Part!.Rows.ShouldBe(10_000);
        csv.Quarantine.ShouldBeNull();
        bench.Query($"""
            SELECT count(*), count(*) FILTER (abs(p.score - c.score) > 1e-6) FROM {bench.Table(parquet.Part!.Uri)} p
            JOIN {bench.Table(csv.Part.Uri)} c ON p.transaction_id = c.transaction_id::BIGINT
            """).Single().ShouldBe([10_000L, 0L]);
    }

    [Fact]
    public async Task Text_that_is_no_number_is_quarantined_row_by_row_with_its_record()
    {
        var uri = bench.Write("x.csv", """
            id,a,b,note
            007,1.5,2,
            2, -3e2 ,"4",fine
            3,oops,2,"line
            break"
            4,,"",
            5,1e99,true,
            6,1,-inf,
            7,1 2,NaN,
            """);
        var shard = await bench.ConvertedShardAsync(uri, "csv", "ort_logreg_iris_zipmap", ["id"], Iris, s => s with { AllowNaN = false });
        var scored = await bench.ScoreAsync(shard);
        bench.Query($"SELECT id FROM {bench.Table(scored.Part!.Uri)}").Select(r => r[0]).ShouldBe(["007", "2", "6"]);
        bench.Query($"SELECT id, file, record, reason FROM {bench.Table(scored.Quarantine!.Uri)} ORDER BY record").ShouldBe(
        [
            ["3", "x.csv", 3L, "a = 'oops' is not a number"],
            ["4", "x.csv", 4L, "a is missing; b is missing"],
            ["5", "x.csv", 5L, "a = '1e99' is out of the range of the model's input"],
            ["7", "x.csv", 7L, "a = '1 2' is not a number; b is NaN, which the model forbids"],
        ]);
    }

    [Fact]
    public async Task Lines_that_are_no_json_objects_are_quarantined_and_records_keep_their_numbers()
    {
        var uri = bench.Write("x.ndjson", """
            {"id": "k1", "a": 1, "b": 2.5}
            {"id": "k2", "a": 1,

            [1, 2]
            {"id": "k4", "a": true, "b": "3", "deep": {"x": 1}}
            {"id": "k5", "b": null}
            {"id": "k6", "a": {"x": 1}, "b": 1}
            "text"
            """);
        var shard = await bench.ConvertedShardAsync(uri, "ndjson", "ort_logreg_iris_zipmap", ["id"], Iris, s => s with { AllowMissing = true });
        var scored = await bench.ScoreAsync(shard);
        bench.Query($"SELECT id FROM {bench.Table(scored.Part!.Uri)}").Select(r => r[0]).ShouldBe(["k1", "k4", "k5"]);
        bench.Query($"SELECT id, record, reason FROM {bench.Table(scored.Quarantine!.Uri)} ORDER BY record").ShouldBe(
        [
            [null, 2L, "the line is not JSON"],
            [null, 3L, "the line is not a JSON object"],
            ["k6", 6L, "a = '{\"x\":1}' is not a number"],
            [null, 7L, "the line is not a JSON object"],
        ]);
    }

    [Fact]
    public async Task A_key_that_does_not_cast_is_a_fault_of_its_row()
    {
        var uri = bench.Write("x.csv", "id,a,b\n1,1,2\nx7,1,2\n,1,2\nx8,,2\n");
        var shard = await bench.ConvertedShardAsync(uri, "csv", "ort_logreg_iris_zipmap", ["id"], Iris) with { KeyTypes = ["BIGINT"] };
        var scored = await bench.ScoreAsync(shard);
        bench.Query($"SELECT id FROM {bench.Table(scored.Part!.Uri)}").Select(r => r[0]).ShouldBe([1L, null]);
        bench.Query($"SELECT id, reason FROM {bench.Table(scored.Quarantine!.Uri)} ORDER BY record").ShouldBe(
        [
            ["x7", "id is not a BIGINT: x7"],
            ["x8", "a is missing; id is not a BIGINT: x8"],
        ]);
    }

    [Theory]
    [InlineData("id,a\n1,2\n3\n", "line 3")]
    [InlineData("id,a\n1,2\n3,\"4\n", "line 3")]
    public async Task A_broken_structure_fails_with_file_and_line(string content, string line)
    {
        var failure = await Should.ThrowAsync<FailureException>(() => bench.ConvertAsync(bench.Write("x.csv", content), "csv", "a"));
        failure.Failure.Code.ShouldBe("input_malformed");
        failure.Message.ShouldContain("x.csv");
        failure.Message.ShouldContain(line);
        bench.WorkFiles.ShouldBeEmpty();
    }

    [Fact]
    public async Task A_ragged_row_far_behind_the_first_part_is_found()
    {
        var rows = string.Concat(Enumerable.Range(1, 60_000).Select(i => $"{i},{i}.5\n"));
        var failure = await Should.ThrowAsync<FailureException>(() => bench.ConvertAsync(bench.Write("x.csv", $"id,a\n{rows}60001\n"), "csv", "a"));
        failure.Message.ShouldContain("line 60002");
    }

    [Fact]
    public async Task A_column_that_is_gone_is_named() =>
        (await Should.ThrowAsync<FailureException>(() => bench.ConvertAsync(bench.Write("x.csv", "id,a\n1,2\n"), "csv", "a", "b")))
            .Failure.Fields.ShouldHaveSingleItem().Field.ShouldBe("columns.b");

    [Fact]
    public async Task Order_and_number_of_records_survive_several_threads()
    {
        var rows = string.Concat(Enumerable.Range(1, 300_000).Select(i => $"{i},{i}.5\n"));
        var converted = await bench.ConvertAsync(bench.Write("x.csv", $"id,a\n{rows}"), "csv", "id");
        converted.Rows.ShouldBe(300_000);
        bench.Query($"SELECT count(*) FROM {bench.Table(converted.Uri)} WHERE id::BIGINT <> file_row_number + 1").Single()[0].ShouldBe(0L);
    }
}
