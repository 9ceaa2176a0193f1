using System.Text.Json;
using Contracts;
using GpuWorker.Tests.Inference;

namespace GpuWorker.Tests.OnlineScoring;

/// <summary>Every model of tests/assets/conformance and of the folder that SAGAS_CONFORMANCE names, by way of a request's body.</summary>
[Collection("Inference")]
public sealed class OnlineConformanceTests(InferenceFixture inference)
{
    static readonly string[] Folders =
    [
        InferenceFixture.FindConformance(),
        .. Environment.GetEnvironmentVariable("SAGAS_CONFORMANCE") is { Length: > 0 } extra ? [extra] : Array.Empty<string>(),
    ];

    public static TheoryData<string> Positives() => Models(negative: false);

    public static TheoryData<string> Negatives() => Models(negative: true);

    [Theory, MemberData(nameof(Positives))]
    public async Task Every_case_gives_the_expected_outputs(string folder)
    {
        using var bench = new OnlineBench(inference);
        var model = Add(folder);
        var cases = Directory.GetFiles(folder, "case_*.json");
        cases.ShouldNotBeEmpty();
        foreach (var file in cases)
        {
            using var document = JsonDocument.Parse(await File.ReadAllBytesAsync(file));
            var asked = new OnlineCase(document.RootElement, folder);
            asked.ShouldMatch(await bench.ScoreAsync(model, asked.Body(), asked.Adapter));
        }
    }

    [Theory, MemberData(nameof(Negatives))]
    public async Task A_model_that_cannot_run_is_refused_by_name(string folder)
    {
        using var bench = new OnlineBench(inference);
        var refused = await Should.ThrowAsync<FailureException>(async () =>
        {
            await bench.WarmUpAsync(Add(folder));
            using var document = JsonDocument.Parse(await File.ReadAllBytesAsync(Directory.GetFiles(folder, "case_*.json").First()));
            await bench.ScoreAsync(Add(folder), new OnlineCase(document.RootElement, folder).Body());
        });
        refused.Failure.Code.ShouldBe("model_unsupported_operator");
    }

    ModelRef Add(string folder) => inference.Add(File.ReadAllBytes(Directory.GetFiles(folder, "*.onnx").Single()), Path.GetFileName(folder));

    static TheoryData<string> Models(bool negative)
    {
        var data = new TheoryData<string>();
        foreach (var info in Folders.SelectMany(folder => Directory.GetFiles(folder, "info.json", SearchOption.AllDirectories)).Order())
        {
            using var document = JsonDocument.Parse(File.ReadAllText(info));
            if ((document.RootElement.TryGetProperty("negative", out var flag) && flag.GetBoolean()) == negative)
                data.Add(Path.GetDirectoryName(info)!);
        }
        return data;
    }
}
