using Interop.DuckDb;

namespace EndToEnd;

/// <summary>The same rows score the same in whatever form they come and go; bad ones are set aside with their reason.</summary>
[Trait("Category", "Server"), Collection(PlatformGroup.Name)]
public sealed class FormatsTests(PlatformFixture fixture) : IDisposable
{
    const string Model = "fraud-detection-model";
    const string Key = "transaction_id";

    readonly string _inputs = Directory.CreateDirectory(Path.Combine(fixture.Platform.Inputs, Guid.CreateVersion7().ToString("n"))).FullName;

    Platform Platform => fixture.Platform;

    public void Dispose() => Directory.Delete(_inputs, recursive: true);

    [Theory]
    [InlineData("parquet", "FORMAT parquet")]
    [InlineData("csv", "FORMAT csv")]
    [InlineData("ndjson", "FORMAT json")]
    public async Task A_file_in_any_format_scores_the_same(string format, string options)
    {
        Tables.Write($"SELECT * FROM {Tables.Sample("transactions.parquet")}", Path.Combine(_inputs, $"rows.{format}"), options);

        var job = await RunAsync(new JobFiles(Uri($"rows.{format}")));

        Scores(job).ShouldBe(await CalmAsync());
    }

    [Theory]
    [InlineData("", "csv")]
    [InlineData("*.csv", null)]
    public async Task A_folder_and_a_glob_are_all_their_files(string place, string? format)
    {
        for (var file = 0; file < 3; file++)
            Tables.Write($"SELECT * FROM {Tables.Sample("transactions.parquet")} WHERE {Key} % 3 = {file}", Path.Combine(_inputs, $"rows-{file}.csv"), "FORMAT csv");

        var job = await RunAsync(new JobFiles(Uri(place), format));

        Scores(job).ShouldBe(await CalmAsync());
    }

    [Theory]
    [InlineData("parquet", "read_parquet")]
    [InlineData("csv", "read_csv")]
    [InlineData("ndjson", "read_json")]
    public async Task Results_in_any_format_hold_the_same(string format, string reader)
    {
        var job = await RunAsync(Scenarios.TenShards().Input, request => request with { Output = new JobFiles(Format: format) });

        Directory.GetFiles(job.Folder, $"part-*.{format}").Length.ShouldBe(job.Progress.ShardsTotal);
        Scores(job, $"{reader}({DuckDbSql.Literal(Path.Combine(job.Folder, $"part-*.{format}"))})").ShouldBe(await CalmAsync());
    }

    [Fact]
    public async Task Without_key_columns_a_row_is_known_by_file_and_record()
    {
        var sample = Path.Combine(PlatformFixture.Samples, "data", "transactions.csv");

        var job = await RunAsync(new JobFiles(new Uri(sample).AbsoluteUri), request => request with { KeyColumns = [] });

        Tables.Query($"SELECT DISTINCT file FROM {Tables.Parts(job)}").ShouldHaveSingleItem()[0].ShouldBe("transactions.csv");
        // The sample's ids are its record numbers.
        var scored = Tables.Of($"(SELECT record AS {Key}, label, score FROM {Tables.Parts(job)})", Key, $"struct_pack({Key} := {Key}::VARCHAR, label := label::BIGINT, score := score::FLOAT)");
        scored.ShouldBe(await CalmAsync());
    }

    [Theory]
    [InlineData("parquet")]
    [InlineData("csv")]
    [InlineData("ndjson")]
    public async Task Bad_rows_are_set_aside_with_key_and_reason(string format)
    {
        var file = WriteBadRows(format);

        var job = await RunAsync(new JobFiles(Uri(file), format), request => request with { MaxErrorRate = 0.5 }, "CompletedWithErrors");

        var reasons = Tables.Query($"SELECT {Key}::VARCHAR, reason FROM {Tables.Quarantine(job)} ORDER BY {Key}::BIGINT").ToDictionary(r => (string)r[0]!, r => (string)r[1]!);
        string[] expected = format == "parquet" ? ["2", "3"] : ["2", "3", "4"];
        reasons.Keys.ShouldBe(expected);
        reasons.Values.ShouldAllBe(reason => reason.Contains("amount"));
        if (format != "parquet")
            reasons["4"].ShouldContain("much");
        job.Rows.ShouldBe(new JobRows(10, 10 - expected.Length, expected.Length, 0, 0));
        Tables.Query($"SELECT count(*) FROM {Tables.Parts(job)} WHERE {Key}::VARCHAR IN ({string.Join(", ", expected)})")[0][0].ShouldBe(0L);
        await Platform.ShouldKeepInvariantsAsync();
    }

    [Theory]
    [InlineData(0.29, null)]
    [InlineData(0.5, 2L)]
    public async Task More_bad_rows_than_allowed_fail_the_job_and_nothing_is_published(double rate, long? count)
    {
        var file = WriteBadRows("csv");

        var job = await RunAsync(new JobFiles(Uri(file)), request => request with { MaxErrorRate = rate, MaxErrors = count }, "Failed");

        job.Failure!.Code.ShouldBe("error_threshold_exceeded");
        job.Published().ShouldBeEmpty();
        await Platform.ShouldKeepInvariantsAsync();
    }

    [Fact]
    public async Task An_input_that_changes_under_the_job_fails_it_by_name()
    {
        var file = Path.Combine(_inputs, "credit.parquet");
        File.Copy(Path.Combine(PlatformFixture.Samples, "data", "credit.parquet"), file);
        var id = await Platform.SubmitAsync(Scenarios.SixtyShards() with { Input = new JobFiles(Uri("credit.parquet")) });
        await Platform.JobOnceAsync(id, job => job.Progress.ShardsDone > 0, "a first shard");

        File.AppendAllText(file, "more");

        var job = await Platform.EndAsync(id);
        job.Status.ShouldBe("Failed", job.ToString());
        job.Failure!.Code.ShouldBe("input_changed");
        job.Failure.Message.ShouldContain("credit.parquet");
        job.Published().ShouldBeEmpty();
        await Platform.ShouldKeepInvariantsAsync();
    }

    /// <summary>Ten rows: of the 2nd the amount is missing, of the 3rd not a number, and of the 4th, where the format can say so, a text.</summary>
    string WriteBadRows(string format)
    {
        var file = $"bad.{format}";
        var isText = format != "parquet";
        Tables.Write(
            $"""
            SELECT * REPLACE (CASE {Key} WHEN 2 THEN NULL WHEN 3 THEN {(isText ? "'NaN'" : "'NaN'::FLOAT")} {(isText ? "WHEN 4 THEN 'much' ELSE amount::VARCHAR" : "ELSE amount")} END AS amount)
            FROM {Tables.Sample("transactions.parquet")} WHERE {Key} <= 10 ORDER BY {Key}
            """,
            Path.Combine(_inputs, file), format switch { "csv" => "FORMAT csv", "ndjson" => "FORMAT json", _ => "FORMAT parquet" });
        return file;
    }

    async Task<Job> RunAsync(JobFiles input, Func<JobRequest, JobRequest>? with = null, string status = "Completed")
    {
        var request = new JobRequest(Model, input, [Key]);
        var job = await Platform.RunAsync(with?.Invoke(request) ?? request);
        job.Status.ShouldBe(status, job.ToString());
        return job;
    }

    async Task<Fingerprint> CalmAsync() => Scores(await RunAsync(Scenarios.TenShards().Input));

    // Keys out of text are text.
    static Fingerprint Scores(Job job, string? parts = null) =>
        Tables.Of(parts ?? Tables.Parts(job), Key, $"struct_pack({Key} := {Key}::VARCHAR, label := label::BIGINT, score := score::FLOAT)");

    string Uri(string place) => new Uri(_inputs).AbsoluteUri + (place.Length == 0 ? "" : "/" + place);
}
