using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json;
using Interop.DuckDb;
using ServiceDefaults;
using Support;

namespace EndToEnd;

/// <summary>What the platform writes for the sample models, row by row, against two that share no code with it.</summary>
[Trait("Category", "Server"), Collection(PlatformGroup.Name)]
public sealed class SampleScoresTests(PlatformFixture platform)
{
    const string Jobs = "/api/v1/batch-inference/jobs";

    public static TheoryData<string, string, string, string> Samples => new()
    {
        { "credit-risk-model", "credit", "account_id", "parquet" },
        { "credit-risk-model", "credit", "account_id", "csv" },
        { "customer-segmentation-model", "customers", "customer_id", "parquet" },
        { "customer-segmentation-model", "customers", "customer_id", "csv" },
        { "fraud-detection-model", "transactions", "transaction_id", "parquet" },
        { "fraud-detection-model", "transactions", "transaction_id", "csv" },
    };

    [Theory, MemberData(nameof(Samples))]
    public async Task Every_row_equals_the_trainers_prediction_and_that_of_another_runtime(string model, string table, string key, string format)
    {
        var models = Path.Combine(PlatformFixture.Samples, "models", model);
        var scored = await ScoreAsync(model, Path.Combine(PlatformFixture.Samples, "data", $"{table}.{format}"), key);
        var other = await OtherRuntimeAsync(models, Path.Combine(PlatformFixture.Samples, "data", $"{table}.csv"));
        var trainer = Read($"read_parquet({DuckDbSql.Literal(Path.Combine(models, "predictions.parquet"))})");

        scored.Count.ShouldBe(other.Count);
        scored.Count.ShouldBe(trainer.Count);
        foreach (var (id, values) in scored)
        {
            ShouldEqual(values, other[id], $"{model}, {key} {id}, onnxruntime-node");
            ShouldEqual(values, trainer[id], $"{model}, {key} {id}, trainer");
        }
    }

    /// <summary>Labels exactly; numbers within 1e-6 + 1e-5 |x|.</summary>
    static void ShouldEqual(object[] actual, object[] expected, string row)
    {
        actual.Length.ShouldBe(expected.Length, row);
        for (var i = 0; i < actual.Length; i++)
        {
            if (actual[i] is long label)
            {
                label.ShouldBe(Convert.ToInt64(expected[i], CultureInfo.InvariantCulture), row);
                continue;
            }
            var (a, e) = ((float)actual[i], Convert.ToDouble(expected[i], CultureInfo.InvariantCulture));
            Math.Abs(a - e).ShouldBeLessThanOrEqualTo(1e-6 + 1e-5 * Math.Abs(e), $"{row}: {a} instead of {e}");
        }
    }

    async Task<Dictionary<string, object[]>> ScoreAsync(string model, string input, string key)
    {
        await Eventually.TrueAsync(async () => (await platform.Http.GetAsync($"/api/v1/models/{model}")).IsSuccessStatusCode, $"{model} to be registered");
        using var answer = await platform.Http.PostAsJsonAsync(Jobs, new { model, input = new { uri = new Uri(input).AbsoluteUri }, keyColumns = new[] { key } });
        var accepted = await answer.Content.ReadFromJsonAsync<JsonElement>();
        answer.IsSuccessStatusCode.ShouldBeTrue(accepted.ToString());
        JsonElement job = default;
        await Eventually.TrueAsync(
            async () =>
            {
                job = await platform.Http.GetFromJsonAsync<JsonElement>(accepted.GetProperty("links").GetProperty("self").GetString());
                return job.GetProperty("status").GetString() is "Completed" or "CompletedWithErrors" or "Failed" or "Cancelled";
            },
            "the end of the job", TimeSpan.FromMinutes(2));
        job.GetProperty("status").GetString().ShouldBe("Completed", job.ToString());
        var folder = Path.GetDirectoryName(new Uri(job.GetProperty("manifestUri").GetString()!).LocalPath)!;
        return Read($"read_parquet({DuckDbSql.Literal(folder + "/part-*.parquet")})");
    }

    async Task<Dictionary<string, object[]>> OtherRuntimeAsync(string model, string csv)
    {
        var output = platform.Folder[$"{Path.GetFileName(model)}-{Guid.CreateVersion7():n}.csv"];
        var start = new ProcessStartInfo("node", [Path.Combine(PlatformFixture.Samples, "..", "tests", "EndToEnd", "score.mjs"), model, csv, output])
        {
            RedirectStandardError = true,
        };
        using var node = Process.Start(start)!;
        var errors = await node.StandardError.ReadToEndAsync();
        await node.WaitForExitAsync();
        node.ExitCode.ShouldBe(0, errors);
        return File.ReadLines(output).Select(line => line.Split(',')).ToDictionary(fields => fields[0], fields => fields[1..].Cast<object>().ToArray());
    }

    /// <summary>By the first column; the other columns in order.</summary>
    static Dictionary<string, object[]> Read(string table)
    {
        DuckDbLibrary.Load(NativeParts.DuckDb());
        using var database = DuckDbDatabase.Open(new DuckDbSettings());
        using var connection = database.Connect();
        using var result = connection.Query($"SELECT * FROM {table}");
        return result.Rows().ToDictionary(row => row[0]!.ToString()!, row => row[1..].Select(v => v!).ToArray());
    }
}
