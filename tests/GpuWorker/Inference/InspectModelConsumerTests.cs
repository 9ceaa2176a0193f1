using Contracts;
using GpuWorker.Inference;
using MassTransit;
using MassTransit.Testing;
using Microsoft.Extensions.DependencyInjection;

namespace GpuWorker.Tests.Inference;

[Collection("Inference")]
public sealed class InspectModelConsumerTests(InferenceFixture inference)
{
    [Fact]
    public async Task Either_answer_reaches_who_asked()
    {
        await using var services = new ServiceCollection()
            .AddSingleton(inference.Inspector)
            .AddMassTransitTestHarness(bus => bus.AddConsumer<InspectModelConsumer>())
            .BuildServiceProvider(true);
        var harness = services.GetRequiredService<ITestHarness>();
        await harness.Start();
        var client = harness.GetRequestClient<InspectModel>();

        var good = inference.Conformance("ort_logreg_iris_zipmap");
        var answer = await client.GetResponse<ModelInspected, ModelRefused>(new InspectModel(good.Uri, good.Sha256));
        answer.Is(out Response<ModelInspected>? inspected).ShouldBeTrue();
        inspected!.Message.Signature.Columns.Count.ShouldBe(4);
        inspected.Message.RowsPerSecond.ShouldBeGreaterThan(0);

        var bad = inference.Conformance("neg_custom_op");
        answer = await client.GetResponse<ModelInspected, ModelRefused>(new InspectModel(bad.Uri, bad.Sha256));
        answer.Is(out Response<ModelRefused>? refused).ShouldBeTrue();
        refused!.Message.Failure.Code.ShouldBe("model_unsupported_operator");
        refused.Message.Sha256.ShouldBe(bad.Sha256);
        harness.Published.Select<Fault>().ShouldBeEmpty();
    }
}
