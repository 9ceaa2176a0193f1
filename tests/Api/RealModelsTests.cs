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

    [Fact]
    public Task A_model_with_operators_of_its_own_is_refused() =>
        RefusedAsync(File.ReadAllBytes(RealWorkerHost.Clone("tests", "assets", "conformance", "neg_custom_op", "model.onnx")), "model_unsupported_operator");

    [Theory]
    [InlineData("light_squeezenet", "data_0, tensor(float) of shape [1, 3, 224, 224]")]
    [InlineData("silero_vad", "input, tensor(float) of shape [any, any]")]
    public async Task A_model_that_no_table_can_feed_is_registered_and_no_job_takes_it(string model, string said)
    {
        var name = model.Replace('_', '-');
        (await UploadAsync(name, File.ReadAllBytes(RealWorkerHost.Clone("tests", "assets", "conformance", model, "model.onnx")))).StatusCode.ShouldBe(HttpStatusCode.Created);

        var version = await (await host.Client.GetAsync($"/api/v1/models/{name}/versions/latest")).JsonAsync();
        version.GetProperty("rowsPerSecond").GetDouble().ShouldBe(0);
        version.GetProperty("peakLoadBytes").GetInt64().ShouldBeGreaterThan(0);
        version.GetProperty("signature").GetProperty("columns").GetArrayLength().ShouldBe(0);
        host.WriteParquet($"{name}.parquet", "SELECT 1.0 AS x");
        var response = await host.SubmitAsync(new { model = name, input = new { uri = ApiHost.Uri(host.Inputs, $"{name}.parquet") } });
        var text = await response.Content.ReadAsStringAsync();
        (await response.ProblemAsync(422, "model_shape_unfeedable")).Keys.ShouldBe(["model"]);
        text.ShouldContain(said);
    }

    [Fact]
    public async Task Two_that_crash_or_take_all_memory_leave_the_worker_alive()
    {
        await RefusedAsync(HostileModels.Hungry(10L << 28), "model_too_large");
        await RefusedAsync(HostileModels.Crashing(), "model_crashed");
        (await UploadAsync("after-all", File.ReadAllBytes(RealWorkerHost.Clone("tests", "assets", "conformance", "winml_iris_pytorch", "model.onnx")))).StatusCode.ShouldBe(HttpStatusCode.Created);
    }

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

        var errors = await (await UploadAsync("refused", file)).ProblemAsync(422, code);

        errors.ShouldAllBe(e => e.Key.StartsWith("file") && e.Value == code);
        errors.ShouldNotBeEmpty();
        (await host.LeftoversAsync()).ShouldBe(before);
    }

    async Task<HttpResponseMessage> UploadAsync(string name, byte[] file)
    {
        using var content = new ByteArrayContent(file) { Headers = { ContentType = new MediaTypeHeaderValue("application/octet-stream") } };
        return await host.Client.PostAsync($"/api/v1/models?name={name}", content);
    }
}
