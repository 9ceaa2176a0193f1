using System.Text.Json;

namespace Train.Tests;

public sealed class SampleFilesTests
{
    internal static readonly string Samples = FindSamples();

    [Fact]
    public void Training_again_gives_the_bytes_in_the_repository()
    {
        foreach (var (path, bytes) in SampleFiles.Make(Samples))
            File.ReadAllBytes(Path.Combine(Samples, path)).AsSpan().SequenceEqual(bytes).ShouldBeTrue(path);
    }

    [Theory]
    [InlineData("credit-risk-model", "auc", 0.77)]
    [InlineData("customer-segmentation-model", "silhouette", 0.15)]
    [InlineData("fraud-detection-model", "auc", 0.9)]
    public void A_card_names_its_file_and_the_model_is_worth_something(string name, string metric, double least)
    {
        var folder = Path.Combine(Samples, "models", name);
        using var card = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "model-card.json")));
        var onnx = File.ReadAllBytes(Path.Combine(folder, "model.onnx"));

        card.RootElement.GetProperty("onnx").GetProperty("sha256").GetString()
            .ShouldBe(Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(onnx)));
        card.RootElement.GetProperty("heldOutMetrics").GetProperty(metric).GetDouble().ShouldBeGreaterThan(least);
        onnx.Length.ShouldBeLessThan(1_000_000);
    }

    static string FindSamples()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Sagas.sln")))
            folder = Path.GetDirectoryName(folder) ?? throw new DirectoryNotFoundException("No clone of the repository above the tests.");
        return Path.Combine(folder, "samples");
    }
}
