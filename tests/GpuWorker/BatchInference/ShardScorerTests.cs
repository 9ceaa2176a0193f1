using Contracts;

namespace GpuWorker.Tests.BatchInference;

public sealed class ShardScorerTests : IDisposable
{
    static readonly string[] Iris = ["a", "b"];

    readonly Workbench bench = new();

    public void Dispose() => bench.Dispose();

    [Theory]
    [InlineData("fraud-detection-model", "transactions", "transaction_id")]
    [InlineData("credit-risk-model", "credit", "account_id")]
    [InlineData("customer-segmentation-model", "customers", "customer_id")]
    public async Task Scores_of_the_sample_models_are_the_trainers_own(string model, string table, string key)
    {
        var shard = bench.Shard(Workbench.Sample($"{table}.parquet"), model, [key]);
        var scored = await bench.ScoreAsync(shard);
        var quarantined = scored.Quarantine?.Rows ?? 0;
        (scored.Part!.Rows + quarantined).ShouldBe(shard.Range.Rows);

        var expected = $"read_parquet('{Workbench.Root($"samples/models/{model}/predictions.parquet")}')";
        bench.Columns(scored.Part.Uri).Select(c => c.Split(' ')[0])
            .ShouldBe(bench.Query($"DESCRIBE SELECT * FROM {expected}").Select(r => (string)r[0]!));
        var differences = shard.Signature.Columns.Select(c => c.Type == "VARCHAR"
            ? $"count(*) FILTER (p.\"{c.Name}\" <> e.\"{c.Name}\")"
            : $"count(*) FILTER (abs(p.\"{c.Name}\" - e.\"{c.Name}\") > 1e-6 + 1e-5 * abs(e.\"{c.Name}\"))");
        var row = bench.Query($"SELECT count(*), {string.Join(", ", differences)} FROM {bench.Table(scored.Part.Uri)} p JOIN {expected} e USING ({key})").Single();
        row[0].ShouldBe(scored.Part.Rows);
        row[1..].ShouldAllBe(d => (long)d! == 0);
    }

    [Fact]
    public async Task A_part_of_the_rows_gets_file_and_record_as_key_in_the_order_of_the_input()
    {
        var whole = bench.Shard(Workbench.Sample("transactions.parquet"), "fraud-detection-model");
        var shard = whole with { Range = whole.Range with { FirstRow = 2500, Rows = 5000 } };
        var scored = await bench.ScoreAsync(shard);
        scored.Part!.Rows.ShouldBe(5000);
        scored.Quarantine.ShouldBeNull();
        bench.Columns(scored.Part.Uri).Take(2).ShouldBe(["file VARCHAR", "record BIGINT"]);
        bench.Query($"SELECT min(record), max(record), count(DISTINCT record), any_value(file) FROM {bench.Table(scored.Part.Uri)}").Single()
            .ShouldBe([2501L, 7500L, 5000L, "transactions.parquet"]);
        bench.Query($"SELECT count(*) FROM {bench.Table(scored.Part.Uri)} WHERE record <> file_row_number + 2501").Single()[0].ShouldBe(0L);
    }

    [Fact]
    public async Task Files_are_named_by_shard_and_execution_whole_and_hashed()
    {
        var shard = bench.Shard(Workbench.Sample("transactions.parquet"), "fraud-detection-model");
        var scored = await bench.ScoreAsync(shard);
        bench.WorkFiles.ShouldBe([$"part-00007.{scored.Execution}.parquet"]);
        var digest = await Artifacts.ArtifactStore.DigestAsync(bench.PathOf(scored.Part!.Uri));
        (digest.Length, digest.Sha256).ShouldBe((scored.Part.Bytes, scored.Part.Sha256));
    }

    [Fact]
    public async Task Bad_rows_go_to_quarantine_with_key_place_and_every_reason_and_the_others_are_scored()
    {
        var uri = bench.Parquet("x.parquet", """
            SELECT i AS id, CASE WHEN i % 1000 = 3 THEN NULL WHEN i % 1000 = 5 THEN 1e300 ELSE i END::DOUBLE AS a,
                   CASE WHEN i % 1000 IN (3, 7) THEN NULL ELSE i::FLOAT END AS b FROM range(10000) t(i)
            """);
        var shard = bench.Shard(uri, "ort_logreg_iris_zipmap", ["id"], Iris);
        var scored = await bench.ScoreAsync(shard);
        scored.Part!.Rows.ShouldBe(9970);
        scored.Quarantine!.Rows.ShouldBe(30);
        bench.Columns(scored.Quarantine.Uri).ShouldBe(["id VARCHAR", "file VARCHAR", "record BIGINT", "reason VARCHAR"]);
        bench.Query($"SELECT * FROM {bench.Table(scored.Quarantine.Uri)} ORDER BY record LIMIT 3").ShouldBe(
        [
            ["3", "x.parquet", 4L, "a is missing; b is missing"],
            ["5", "x.parquet", 6L, "a = 1E+300 is out of the range of the model's input"],
            ["7", "x.parquet", 8L, "b is missing"],
        ]);
        bench.Query($"SELECT count(*) FROM {bench.Table(scored.Part.Uri)} WHERE id % 1000 IN (3, 5, 7)").Single()[0].ShouldBe(0L);
    }

    [Fact]
    public async Task Each_row_is_scored_once_also_when_some_are_bad_and_several_columns_come_out()
    {
        var uri = bench.Parquet("x.parquet", "SELECT CASE WHEN i = 5 THEN NULL ELSE i END::FLOAT AS a, 1::FLOAT AS b FROM range(9000) t(i)");
        var shard = bench.Shard(uri, "ort_logreg_iris_zipmap", features: Iris);
        using var unit = bench.Units.Start(shard.JobId, 1, 7, 1)!;
        await bench.Scorer.ScoreAsync(shard, unit);
        unit.RowsDone.ShouldBe(9000);
    }

    [Fact]
    public async Task A_shard_of_bad_rows_only_has_no_part()
    {
        var scored = await bench.ScoreAsync(bench.Shard(bench.Parquet("x.parquet", "SELECT NULL::FLOAT AS a, 1::FLOAT AS b FROM range(10)"), "ort_logreg_iris_zipmap", features: Iris));
        scored.Part.ShouldBeNull();
        scored.Quarantine!.Rows.ShouldBe(10);
        bench.WorkFiles.ShouldHaveSingleItem().ShouldStartWith("quarantine-00007.");
    }

    [Fact]
    public async Task Missing_values_are_NaN_where_the_model_says_so_and_NaN_is_refused_where_it_says_that()
    {
        var uri = bench.Parquet("x.parquet", "SELECT * FROM (VALUES (1::FLOAT, 2::FLOAT), (NULL, 2), ('NaN'::FLOAT, 2)) t(a, b)");
        async Task<(long, long)> Count(bool missing, bool nan)
        {
            var scored = await bench.ScoreAsync(bench.Shard(uri, "ort_logreg_iris_zipmap", features: Iris, change: s => s with { AllowMissing = missing, AllowNaN = nan }));
            return (scored.Part?.Rows ?? 0, scored.Quarantine?.Rows ?? 0);
        }
        (await Count(missing: true, nan: true)).ShouldBe((3, 0));
        (await Count(missing: true, nan: false)).ShouldBe((2, 1));
        (await Count(missing: false, nan: true)).ShouldBe((2, 1));
        (await Count(missing: false, nan: false)).ShouldBe((1, 2));
    }

    [Fact]
    public async Task Maps_and_labels_of_a_fixed_batch_come_out_as_columns()
    {
        // Seven rows for a model that takes three at a time.
        var uri = bench.Parquet("x.parquet", "SELECT i AS id, i::FLOAT AS a, (7 - i)::FLOAT AS b FROM range(7) t(i)");
        var shard = bench.Shard(uri, "ort_logreg_iris_zipmap", ["id"], Iris);
        var scored = await bench.ScoreAsync(shard);
        bench.Columns(scored.Part!.Uri).ShouldBe(["id BIGINT", "label BIGINT", .. shard.Signature.Columns.Skip(1).Select(c => $"{c.Name} FLOAT")]);
        var sums = shard.Signature.Columns.Skip(1).Select(c => $"\"{c.Name}\"");
        bench.Query($"SELECT count(*) FROM {bench.Table(scored.Part.Uri)} WHERE abs({string.Join(" + ", sums)} - 1) < 1e-5").Single()[0].ShouldBe(7L);
    }

    [Fact]
    public async Task Integers_of_every_width_feed_an_integer_input_and_what_does_not_fit_is_quarantined()
    {
        var uri = bench.Parquet("x.parquet", """
            SELECT * FROM (VALUES
              (1, 255::UTINYINT, 9223372036854775807::UBIGINT, true, 12::DECIMAL(30,0), -4::DECIMAL(38,0)),
              (2, 0::UTINYINT, 9223372036854775808::UBIGINT, false, 12, -4),
              (3, 0::UTINYINT, 5, false, 99999999999999999999999999, -4)) t(id, c1, c2, c3, c4, c5)
            """);
        var scored = await bench.ScoreAsync(bench.Shard(uri, "ort_types_int64", ["id"], ["c1", "c2", "c3", "c4", "c5"]));
        var row = bench.Query($"SELECT * FROM {bench.Table(scored.Part!.Uri)}").Single();
        row.ShouldBe([1, 255L, long.MaxValue, 1L, 12L, -4L]);
        bench.Query($"SELECT reason FROM {bench.Table(scored.Quarantine!.Uri)} ORDER BY record").Select(r => (string)r[0]!).ShouldBe(
        [
            "c2 = 9223372036854775808 is out of the range of the model's input",
            "c4 = '99999999999999999999999999' is out of the range of the model's input",
        ]);
    }

    [Fact]
    public async Task Half_precision_text_and_truth_values_are_fed()
    {
        var halves = await bench.ScoreAsync(bench.Shard(
            bench.Parquet("h.parquet", "SELECT * FROM (VALUES (0.5::FLOAT, 1, 2, 3, 4::DOUBLE), (70000, 1, 2, 3, 4)) t(a, b, c, d, e)"), "ort_fp16_to_fp32", features: ["a", "b", "c", "d", "e"]));
        bench.Query($"SELECT COLUMNS(c -> c NOT IN ('file', 'record')) FROM {bench.Table(halves.Part!.Uri)}").Single().ShouldBe([0.5f, 1f, 2f, 3f, 4f]);
        halves.Quarantine!.Rows.ShouldBe(1);

        var bools = await bench.ScoreAsync(bench.Shard(
            bench.Parquet("b.parquet", "SELECT true AS a, false AS b, true AS c, false AS d, i % 2 = 0 AS e FROM range(5) t(i)"), "ort_types_bool", features: ["a", "b", "c", "d", "e"]));
        bench.Query($"SELECT COLUMNS(c -> c NOT IN ('file', 'record')) FROM {bench.Table(bools.Part!.Uri)} WHERE record = 2").Single().ShouldBe([true, false, true, false, false]);

        var texts = await bench.ScoreAsync(bench.Shard(
            bench.Parquet("t.parquet", "SELECT CASE WHEN i = 7 THEN NULL WHEN i % 2 = 0 THEN 'A' ELSE 'some other rather long text' END AS input FROM range(3000) t(i)"), "ort_label_encoder_string"));
        texts.Part!.Rows.ShouldBe(2999);
        bench.Query($"SELECT reason, record FROM {bench.Table(texts.Quarantine!.Uri)}").Single().ShouldBe(["input is missing", 8L]);
    }

    [Theory]
    [InlineData("csv", "read_csv")]
    [InlineData("ndjson", "read_json")]
    public async Task Text_formats_are_written_on_request(string format, string reader)
    {
        var shard = bench.Shard(Workbench.Sample("transactions.parquet"), "fraud-detection-model", ["transaction_id"]) with { OutputFormat = format };
        var scored = await bench.ScoreAsync(shard);
        scored.Part!.Uri.ShouldEndWith(format);
        bench.Query($"SELECT count(*), count(transaction_id) FROM {reader}('{bench.PathOf(scored.Part.Uri)}')").Single().ShouldBe([10000L, 10000L]);
    }

    [Fact]
    public async Task An_input_that_changed_or_went_is_named_and_is_not_worth_another_try()
    {
        var uri = bench.Parquet("x.parquet", "SELECT 1::FLOAT AS a, 1::FLOAT AS b FROM range(10)");
        var shard = bench.Shard(uri, "ort_logreg_iris_zipmap", features: Iris);
        bench.Parquet("x.parquet", "SELECT 1::FLOAT AS a, 1::FLOAT AS b FROM range(20)");
        var changed = await Should.ThrowAsync<FailureException>(() => bench.ScoreAsync(shard));
        (changed.Failure.Code, changed.IsTransient).ShouldBe((FailureCodes.InputChanged, false));
        File.Delete(bench.PathOf(uri));
        (await Should.ThrowAsync<FailureException>(() => bench.ScoreAsync(shard))).Failure.Code.ShouldBe(FailureCodes.InputChanged);
        bench.WorkFiles.ShouldBeEmpty();
    }

    [Fact]
    public async Task A_damaged_page_is_malformed_and_leaves_no_file()
    {
        var uri = bench.Parquet("x.parquet", "SELECT i::FLOAT AS a, (i % 97)::FLOAT AS b FROM range(50000) t(i)");
        using (var file = new FileStream(bench.PathOf(uri), FileMode.Open))
        {
            file.Position = 4;
            file.Write(Enumerable.Repeat((byte)0xFF, 500).ToArray());
        }
        var failure = await Should.ThrowAsync<FailureException>(() => bench.ScoreAsync(bench.Shard(uri, "ort_logreg_iris_zipmap", features: Iris)));
        failure.Failure.Code.ShouldBe("input_malformed");
        failure.Message.ShouldContain("x.parquet");
        failure.IsTransient.ShouldBeFalse();
        bench.WorkFiles.ShouldBeEmpty();
    }

    [Fact]
    public async Task Rows_to_blame_are_all_quarantined_without_the_model()
    {
        var shard = bench.Shard(Workbench.Sample("transactions.parquet"), "fraud-detection-model", ["transaction_id"]);
        shard = shard with { QuarantineAll = new Failure("crashes_model", "it's them"), Model = shard.Model with { Sha256 = "none", Uri = "file:///none" }, Range = shard.Range with { FirstRow = 10, Rows = 20 } };
        var scored = await bench.ScoreAsync(shard);
        scored.Part.ShouldBeNull();
        bench.Query($"SELECT count(*), min(reason), min(record), max(transaction_id::BIGINT) FROM {bench.Table(scored.Quarantine!.Uri)}").Single()
            .ShouldBe([20L, "crashes_model: it's them", 11L, 30L]);
    }

    [Fact]
    public async Task Odd_names_of_columns_and_files_are_only_names()
    {
        var uri = bench.Parquet("it's [1] *.parquet", "SELECT 1 AS \"ke\"\"y; --\", 2::FLOAT AS \"a b\", 3::FLOAT AS \"select\"");
        var scored = await bench.ScoreAsync(bench.Shard(uri, "ort_logreg_iris_zipmap", ["ke\"y; --"], ["a b", "select"]));
        scored.Part!.Rows.ShouldBe(1);
    }
}
