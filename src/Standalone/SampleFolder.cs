namespace Standalone;

/// <summary>The sample models and tables of the clone this was built in; none where it was installed without them.</summary>
static class SampleFolder
{
    public static readonly (string Model, string Table)[] Jobs =
    [
        ("credit-risk-model", "credit.parquet"),
        ("customer-segmentation-model", "customers.parquet"),
        ("fraud-detection-model", "transactions.parquet"),
    ];

    public static string? Find()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var samples = Path.Combine(folder.FullName, "samples");
            if (Directory.Exists(Path.Combine(samples, "models")) && Directory.Exists(Path.Combine(samples, "data")))
                return samples;
        }

        return null;
    }
}
