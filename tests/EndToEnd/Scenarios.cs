namespace EndToEnd;

/// <summary>Jobs that the tests have in common.</summary>
static class Scenarios
{
    /// <summary>30,000 credit card holders in 60 shards: some seconds.</summary>
    public static JobRequest SixtyShards() => new("credit-risk-model", Input("credit.parquet"), ["account_id"]) { BatchSize = 500 };

    /// <summary>10,000 transactions in 10 shards: about a second.</summary>
    public static JobRequest TenShards() => new("fraud-detection-model", Input("transactions.parquet"), ["transaction_id"]) { BatchSize = 1000 };

    /// <summary>6,144,000 credit card holders in 200 shards: half a minute on two cores.</summary>
    public static JobRequest TwoHundredShards(Platform platform)
    {
        const int rows = 30_720;
        var file = Path.Combine(platform.Inputs, "holders.parquet");
        if (!File.Exists(file))
        {
            // Joined from the numbers' side, whole vectors of them: each row group is exactly a shard.
            Tables.Write(
                $"""
                SELECT range AS account_id, sample.* EXCLUDE (account_id)
                FROM range({200 * rows}) JOIN {Tables.Sample("credit.parquet")} AS sample ON sample.account_id = range % 30000 + 1
                """,
                file, $"FORMAT parquet, ROW_GROUP_SIZE {rows}");
        }

        return new JobRequest("credit-risk-model", new JobFiles(new Uri(file).AbsoluteUri), ["account_id"]) { BatchSize = rows };
    }

    public static JobFiles Input(string sample) => new(new Uri(Path.Combine(PlatformFixture.Samples, "data", sample)).AbsoluteUri);
}
