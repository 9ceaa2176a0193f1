using System.Net;
using System.Net.Http.Headers;
using GpuWorker.Inference;
using MassTransit;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Support;

namespace Api.Tests;

/// <summary>The API with a worker that has ONNX Runtime, and the sample models to register at start.</summary>
public sealed class RealWorkerHost : ApiHost
{
    private protected override void AddWorker(WebApplicationBuilder builder, IBusRegistrationConfigurator bus)
    {
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["Api:SampleModels"] = Clone("samples", "models"),
            ["Api:InspectTimeout"] = "00:00:30",
            ["Api:MaxModelBytes"] = "100000000",
        });
        builder.Services.AddInference();
        bus.AddConsumer<InspectModelConsumer>();
    }

    /// <summary>A place in the clone that these tests were built in.</summary>
    public static string Clone(params string[] path)
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Sagas.sln")))
            folder = folder.Parent!;
        return Path.Combine([folder.FullName, .. path]);
    }
}

[Trait("Category", "Server")]
public sealed class RealModelsTests(RealWorkerHost host) : IClassFixture<RealWorkerHost>
{
    [Fact]
    public async Task The_samples_are_registered_at_start_and_can_be_scored_with()
    {
        foreach (var (name, table) in new[] { ("credit-risk-model", "credit"), ("customer-segmentation-model", "customers"), ("fraud-detection-model", "transactions") })
        {
            await Eventually.TrueAsync(async () => (await host.Client.GetAsync($"/api/v1/models/{name}")).IsSuccessStatusCode, name);
            var latest = (await (await host.Client.GetAsync($"/api/v1/models/{name}")).JsonAsync()).GetProperty("latest");
            latest.GetProperty("rowsPerSecond").GetDouble().ShouldBeGreaterThan(0);
            latest.GetProperty("description").GetString().ShouldNotBeNullOrEmpty();
            foreach (var extension in new[] { "parquet", "csv" })
            {
                File.Copy(RealWorkerHost.Clone("samples", "data", $"{table}.{extension}"), Path.Combine(host.Inputs, $"{table}.{extension}"));
                var response = await host.SubmitAsync(new { model = name, input = new { uri = ApiHost.Uri(host.Inputs, $"{table}.{extension}") } });
                response.StatusCode.ShouldBe(HttpStatusCode.Accepted, await response.Content.ReadAsStringAsync());
            }
        }
    }

    [Theory]
    [InlineData("neg_custom_op", "model_unsupported_operator")]
    [InlineData("silero_vad", "model_shape_unfeedable")]
    [InlineData("ort_sequence_length", "model_shape_unfeedable")]
    public Task A_model_that_no_table_can_feed_is_refused(string model, string code) =>
        RefusedAsync(File.ReadAllBytes(RealWorkerHost.Clone("tests", "assets", "conformance", model, "model.onnx")), code);

    [Fact]
    public Task A_file_that_is_no_model_is_refused() => RefusedAsync("this is not a model"u8.ToArray(), "model_invalid");

    [Fact]
    public Task A_truncated_model_is_refused()
    {
        var whole = File.ReadAllBytes(RealWorkerHost.Clone("samples", "models", "fraud-detection-model", "model.onnx"));
        return RefusedAsync(whole[..(whole.Length / 2)], "model_invalid");
    }

    async Task RefusedAsync(byte[] file, string code)
    {
        await Eventually.TrueAsync(async () => (await host.Client.GetAsync("/api/v1/models/fraud-detection-model")).IsSuccessStatusCode, "the sample models");
        var before = await host.LeftoversAsync();
        using var content = new ByteArrayContent(file) { Headers = { ContentType = new MediaTypeHeaderValue("application/octet-stream") } };

        var errors = await (await host.Client.PostAsync("/api/v1/models?name=refused", content)).ProblemAsync(422, code);

        errors.ShouldAllBe(e => e.Key.StartsWith("file") && e.Value == code);
        errors.ShouldNotBeEmpty();
        (await host.LeftoversAsync()).ShouldBe(before);
    }
}
