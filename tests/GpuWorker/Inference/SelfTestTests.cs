using Contracts;
using GpuWorker.Inference;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace GpuWorker.Tests.Inference;

/// <summary>What was computed at registration must be computed where the model is opened.</summary>
[Collection("Inference")]
public sealed class SelfTestTests(InferenceFixture inference)
{
    [Theory]
    [InlineData("scale")]
    [InlineData("ort_types_float")]
    [InlineData("ort_logreg_iris_zipmap")]
    [InlineData("mnist_cntk_3sets")]
    public async Task A_model_that_computes_what_it_did_is_opened(string name)
    {
        var model = name == "scale" ? inference.Add(TestModels.Scale()) : inference.Conformance(name);
        var golden = (await inference.InspectApartAsync(model)).Golden;
        golden.ShouldNotBeNull().Values.ShouldNotBeEmpty();
        using var cache = Cache();

        (await cache.LeaseAsync(model with { Golden = golden })).Dispose();
    }

    [Fact]
    public async Task One_that_computes_something_else_is_not_and_says_on_what()
    {
        var model = inference.Add(TestModels.Scale());
        var golden = (await inference.InspectApartAsync(model)).Golden!;
        using var cache = Cache();

        var refused = (await Should.ThrowAsync<FailureException>(cache.LeaseAsync(model with { Golden = golden with { Values = [.. golden.Values.Select(value => value * 1.1 + 0.1)] } }))).Failure;

        refused.Code.ShouldBe("model_selftest_failed");
        refused.Message.ShouldContain("CPU");
        cache.WarmModels.ShouldBeEmpty();
    }

    [Theory]
    [InlineData("light_squeezenet")]
    [InlineData("ort_label_encoder_string")]
    [InlineData("onnx_if_seq")]
    public async Task Models_of_which_nothing_is_known_are_opened_unasked(string name)
    {
        var model = inference.Conformance(name);
        using var cache = Cache();

        (await cache.LeaseAsync(model with { Golden = (await inference.InspectApartAsync(model)).Golden })).Dispose();
    }

    ModelCache Cache() => new(inference.Environment, inference.Artifacts, Options.Create(inference.Settings), NullLogger<ModelCache>.Instance);
}
