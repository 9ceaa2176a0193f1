using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using GpuWorker.Tests.Inference;
using Support;

namespace GpuWorker.Tests.OnlineScoring;

/// <summary><c>GpuWorker --serve-model</c>, as somebody would run it.</summary>
public sealed class ModelServerTests : IDisposable
{
    readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task It_serves_the_model_of_a_folder_its_adapters_and_its_health()
    {
        var conformance = Path.Combine(InferenceFixture.FindConformance(), "ort_lora_two_params");
        foreach (var file in Directory.GetFiles(conformance, "*.onnx*"))
            File.Copy(file, _folder[Path.GetFileName(file)]);
        await using var server = await StartAsync();
        await server.ReadyAsync();

        foreach (var (number, query) in new[] { (0, ""), (1, "?adapter=two_params_lora_model"), (0, "") })
        {
            using var document = JsonDocument.Parse(await File.ReadAllBytesAsync(Path.Combine(conformance, $"case_{number}.json")));
            var asked = new OnlineCase(document.RootElement, conformance);
            using var answer = await server.Http.PostAsync($"/score{query}", new ByteArrayContent(asked.Body()));
            answer.StatusCode.ShouldBe(HttpStatusCode.OK, await answer.Content.ReadAsStringAsync());
            asked.ShouldMatch(await answer.Content.ReadFromJsonAsync<JsonElement>());
        }

        await ShouldRefuseAsync(server, "/score?adapter=../secret", "{}", 422, "adapter_unknown");
        var health = await server.Http.GetFromJsonAsync<JsonElement>("/health");
        health.EnumerateObject().Select(field => field.Name).ShouldBe(["status", "version", "gpu_available", "model_loaded"]);
        health.GetProperty("status").GetString().ShouldBe("healthy");
        health.GetProperty("gpu_available").GetBoolean().ShouldBeFalse();
        health.GetProperty("model_loaded").GetBoolean().ShouldBeTrue();
        (await server.Http.GetAsync("/health/live")).StatusCode.ShouldBe(HttpStatusCode.OK);
        (await server.StopAsync()).ShouldBe(0);
    }

    /// <summary>Whatever comes in, the next request is served.</summary>
    [Fact]
    public async Task Hostile_requests_are_refused_and_the_next_is_served()
    {
        await File.WriteAllBytesAsync(_folder["model.onnx"], TestModels.Scale());
        await using var server = await StartAsync(("Online:MaxBodyBytes", "1000000"));
        await server.ReadyAsync();

        await ShouldRefuseAsync(server, "/score", new string(' ', 2_000_000), 413, "body_too_large");
        await ShouldRefuseAsync(server, "/score", $$"""{"data":{{new string('[', 10_000)}}""", 400, "json_too_deep");
        await ShouldRefuseAsync(server, "/score", $$"""{"data":[{"x":"{{new string('a', 900_000)}}"}]}""", 400, "wrong_type");
        await ShouldRefuseAsync(server, "/score", """{"inputs":[{"name":"x","shape":[2147483647,2],"datatype":"FP32","data":[1,2]}]}""", 422, "wrong_length");
        await ShouldRefuseAsync(server, "/score", """{"data":[{"x":[1e400,1]}]}""", 400, "wrong_type");
        await CutOffAsync(server);
        using var slow = new HttpRequestMessage(HttpMethod.Post, "/score") { Content = new StringContent("""{"data":[{"x":[1,2]}]}"""), Headers = { { "X-Timeout-Ms", "0" } } };
        (await server.Http.SendAsync(slow)).StatusCode.ShouldBe(HttpStatusCode.BadRequest);

        var scored = await server.Http.PostAsync("/score", new StringContent("""{"data":[{"x":[1,2]},{"x":["NaN","Infinity"]}]}"""));
        (await scored.Content.ReadAsStringAsync()).ShouldContain("""[{"y_0":2,"y_1":4},{"y_0":"NaN","y_1":"Infinity"}]""");
    }

    [Theory]
    [InlineData(false, "There is no folder")]
    [InlineData(true, "must have one model")]
    public async Task Without_a_model_it_says_what_is_missing_and_ends(bool exists, string said)
    {
        var folder = _folder["empty"];
        if (exists)
            Directory.CreateDirectory(folder);

        var (code, output) = await HostProcess.RunAsync(new HostLaunch("GpuWorker", new Dictionary<string, string>()) { Arguments = ["--serve-model", folder] });

        code.ShouldBe(1);
        output.ShouldContain(said);
    }

    [Fact]
    public async Task A_file_that_is_no_model_ends_it_with_a_sentence()
    {
        await File.WriteAllTextAsync(_folder["model.onnx"], "not a model");

        var (code, output) = await HostProcess.RunAsync(new HostLaunch("GpuWorker", new Dictionary<string, string>()) { Arguments = ["--serve-model", _folder.Path] });

        code.ShouldBe(1);
        output.ShouldContain("The file is not an ONNX model");
    }

    [Fact]
    public async Task It_does_not_listen_to_others_until_it_is_told_that_it_may()
    {
        await File.WriteAllBytesAsync(_folder["model.onnx"], TestModels.Scale());

        var (code, output) = await HostProcess.RunAsync(
            new HostLaunch("GpuWorker", new Dictionary<string, string> { ["Kestrel:Endpoints:All:Url"] = "http://0.0.0.0:0" }) { Arguments = ["--serve-model", _folder.Path] });

        code.ShouldBe(1);
        output.ShouldContain("Serve:Public=true");
    }

    Task<HostProcess> StartAsync(params (string Name, string Value)[] settings) => HostProcess.StartAsync(
        new HostLaunch("GpuWorker", settings.ToDictionary(setting => setting.Name, setting => setting.Value)) { Arguments = ["--serve-model", _folder.Path] });

    static async Task ShouldRefuseAsync(HostProcess server, string path, string body, int status, string code)
    {
        using var answer = await server.Http.PostAsync(path, new StringContent(body, Encoding.UTF8, "application/json"));
        var text = await answer.Content.ReadAsStringAsync();
        ((int)answer.StatusCode).ShouldBe(status, text);
        JsonSerializer.Deserialize<JsonElement>(text).GetProperty("code").GetString().ShouldBe(code);
    }

    // Says that 100 bytes come, and goes after ten.
    static async Task CutOffAsync(HostProcess server)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(server.Http.BaseAddress!.Host, server.Http.BaseAddress.Port);
        await client.GetStream().WriteAsync("POST /score HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{\"data\":[{"u8.ToArray());
    }
}
