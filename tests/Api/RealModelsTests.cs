using System.Net;
using System.Net.Http.Headers;
using GpuWorker.Inference;
using GpuWorker.Tests.Inference;
using MassTransit;
using Microsoft.AspNetCore.Builder;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Support;

namespace Api.Tests;

/// <summary>The API with a worker that has ONNX Runtime, and the sample models to register at start.</summary>
public class RealWorkerHost : ApiHost
{
    private protected override void AddWorker(WebApplicationBuilder builder, IBusRegistrationConfigurator bus)
    {
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["Api:SampleModels"] = Clone("samples", "models"),
            ["Api:InspectTimeout"] = "00:00:30",
            ["Api:MaxModelBytes"] = "100000000",
            ["Inference:DryRunSeconds"] = "5",
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
        await RefusedAsync(TestModels.Hungry(10L << 28), "model_too_large");
        await RefusedAsync(TestModels.Crashing(), "model_crashed");
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

    [Fact]
    public async Task A_model_that_never_ends_is_refused() => await RefusedAsync(TestModels.Endless(), "model_too_slow");

    [Theory]
    [InlineData(1L << 40, "model_invalid")]
    public async Task A_weight_that_says_it_is_huge_is_refused(long size, string code) => await RefusedAsync(TestModels.Boastful(size), code);

    [Fact]
    public async Task Compiled_programs_are_refused() => await RefusedAsync(TestModels.Operator("com.microsoft", "EPContext", nested: true), "model_unsupported_operator");

    [Fact]
    public async Task A_model_with_weights_beside_it_is_tried_with_them()
    {
        var model = TestModels.Scale(external: "factor.bin", places: new() { ["offset"] = "4", ["length"] = "4" });

        var response = await SendAsync("beside", model, ("factor.bin", [0, 0, 0, 0, 0, 0, 0, 64]));

        response.StatusCode.ShouldBe(HttpStatusCode.Created, await response.Content.ReadAsStringAsync());
        (await response.JsonAsync()).GetProperty("files").GetArrayLength().ShouldBe(2);
        (await response.JsonAsync()).GetProperty("rowsPerSecond").GetDouble().ShouldBeGreaterThan(0);
    }

    [Theory]
    [InlineData("factor.bin", "0", "4", "is not there", "other.bin")]
    [InlineData("factor.bin", "0", "4", "names no file other.bin", "factor.bin", "other.bin")]
    [InlineData("factor.bin", "8", "4", "the file has 8 bytes", "factor.bin")]
    [InlineData("factor.bin", "4", "8", "the file has 8 bytes", "factor.bin")]
    [InlineData("factor.bin", "9223372036854775807", "4", "the file has 8 bytes", "factor.bin")]
    [InlineData("factor.bin", "-1", "4", "no number", "factor.bin")]
    [InlineData("/etc/passwd", "0", "4", "/etc/passwd", "factor.bin")]
    [InlineData("../factor.bin", "0", "4", "../factor.bin", "factor.bin")]
    public async Task Weights_that_are_not_as_the_model_says_are_refused(string location, string offset, string length, string said, params string[] files)
    {
        await SamplesAsync();
        var before = await host.LeftoversAsync();

        var response = await SendAsync(
            "astray", TestModels.Scale(external: location, places: new() { ["offset"] = offset, ["length"] = length }), [.. files.Select(f => (f, new byte[8]))]);

        (await response.Content.ReadAsStringAsync()).ShouldContain(said);
        (await response.ProblemAsync(422, "model_invalid")).Keys.ShouldBe(["file"]);
        (await host.LeftoversAsync()).ShouldBe(before);
    }

    [Fact]
    public async Task An_adapter_is_tried_over_its_base_and_registered_once()
    {
        await LoraBaseAsync();
        var adapter = Lora("two_params_lora_model.onnx_adapter");

        var created = await AdapterAsync("house", adapter);

        created.StatusCode.ShouldBe(HttpStatusCode.Created, await created.Content.ReadAsStringAsync());
        var sha256 = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(adapter));
        (await created.JsonAsync()).GetProperty("sha256").GetString().ShouldBe(sha256);
        File.ReadAllBytes(Path.Combine(host.Models, "@local", sha256[..2], $"{sha256}.onnx_adapter")).ShouldBe(adapter);
        (await AdapterAsync("house", adapter)).StatusCode.ShouldBe(HttpStatusCode.OK);
        (await AdapterAsync("house", [.. adapter, 0])).StatusCode.ShouldBe(HttpStatusCode.Conflict);
        var list = await (await host.Client.GetAsync("/api/v1/models/lora/versions/latest/adapters")).JsonAsync();
        list.GetProperty("adapters").EnumerateArray().Select(a => a.GetProperty("name").GetString()).ShouldBe(["house"]);
        (await host.WithDbAsync(db => db.AuditEntries.CountAsync(e => e.Action == "model.adapter.register"))).ShouldBe(1);
    }

    [Fact]
    public async Task What_is_no_adapter_or_not_this_models_is_refused()
    {
        await LoraBaseAsync();
        var adapter = Lora("two_params_lora_model.onnx_adapter");
        (await UploadAsync("no-lora", File.ReadAllBytes(RealWorkerHost.Clone("tests", "assets", "conformance", "winml_iris_pytorch", "model.onnx")))).EnsureSuccessStatusCode();
        var before = await host.LeftoversAsync();

        (await (await AdapterAsync("noise", [1, 2, 3])).ProblemAsync(422, "adapter_invalid")).Keys.ShouldBe(["file"]);
        foreach (var broken in new[] { adapter[..(adapter.Length / 2)], [.. adapter[..40], .. Enumerable.Repeat((byte)0xFF, 60), .. adapter[100..]] })
            ((int)(await AdapterAsync("broken", broken)).StatusCode).ShouldBe(422);
        (await (await AdapterAsync("other", adapter, "no-lora")).ProblemAsync(422, "adapter_does_not_fit")).Keys.ShouldBe(["file"]);
        (await (await AdapterAsync("-", adapter)).ProblemAsync(400, "name_invalid")).Keys.ShouldBe(["name"]);
        await (await AdapterAsync("x", adapter, "nowhere")).ProblemAsync(404, "model_not_found");

        (await host.LeftoversAsync()).ShouldBe(before);
    }

    async Task LoraBaseAsync()
    {
        await SamplesAsync();
        (await UploadAsync("lora", Lora("two_params_lora_model.onnx"))).IsSuccessStatusCode.ShouldBeTrue();
    }

    static byte[] Lora(string file) => File.ReadAllBytes(RealWorkerHost.Clone("tests", "assets", "conformance", "ort_lora_two_params", file));

    async Task<HttpResponseMessage> AdapterAsync(string name, byte[] file, string model = "lora")
    {
        using var form = new MultipartFormDataContent { { new StringContent(name), "name" }, { new ByteArrayContent(file), "file", "any.onnx_adapter" } };
        return await host.Client.PostAsync($"/api/v1/models/{model}/versions/latest/adapters", form);
    }

    Task SamplesAsync() => Eventually.TrueAsync(async () => (await host.Client.GetAsync("/api/v1/models/fraud-detection-model")).IsSuccessStatusCode, "the sample models");

    async Task<HttpResponseMessage> SendAsync(string name, byte[] model, params (string Name, byte[] Bytes)[] files)
    {
        using var form = new MultipartFormDataContent { { new StringContent(name), "name" }, { new ByteArrayContent(model), "file", "model.onnx" } };
        foreach (var (file, bytes) in files)
            form.Add(new ByteArrayContent(bytes), "data", file);
        return await host.Client.PostAsync("/api/v1/models", form);
    }

    async Task RefusedAsync(byte[] file, string code)
    {
        await SamplesAsync();
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
