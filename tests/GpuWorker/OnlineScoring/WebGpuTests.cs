using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using GpuWorker.Tests.Inference;
using Support;

namespace GpuWorker.Tests.OnlineScoring;

/// <summary>Another device than the CPU: WebGPU, on a Vulkan device that any machine can have.</summary>
public sealed class WebGpuTests : IDisposable
{
    readonly SwiftShader _device = new();
    readonly TestFolder _folder = new();

    public void Dispose()
    {
        _device.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public async Task A_model_is_scored_on_the_device_and_gives_what_the_CPU_gives()
    {
        File.Copy(Sample("fraud-detection-model"), _folder["model.onnx"]);
        await using var device = await StartAsync("WebGPU", "CPU");
        await using var cpu = await StartAsync("CPU");
        device.Output.ShouldContain("on WebGPU");
        cpu.Output.ShouldContain("on CPU");
        (await HealthAsync(device)).ShouldBe(("healthy", true));

        var random = new Random(3);
        var body = $$"""{"data":[{{string.Join(',', Enumerable.Range(0, 50).Select(_ => $$"""{"features":[{{string.Join(',', Enumerable.Range(0, 30).Select(_ => (random.NextDouble() * 4 - 2).ToString("0.####")))}}]}"""))}}]}""";
        var (a, b) = (await ScoreAsync(device, body), await ScoreAsync(cpu, body));
        a.Length.ShouldBe(50);
        for (var i = 0; i < a.Length; i++)
            a[i].ShouldBe(b[i], 1e-4);
    }

    /// <summary>Trees have no kernel there: without leave to fall back, the device is refused and the next in the list serves, which says so.</summary>
    [Fact]
    public async Task A_model_that_the_device_cannot_run_whole_goes_to_the_next_provider_where_it_may_not_fall_back()
    {
        File.Copy(Sample("credit-risk-model"), _folder["model.onnx"]);
        await using var device = await StartAsync(("Inference:CpuFallback", "false"), "WebGPU", "CPU");

        device.Output.ShouldContain("on CPU");
        device.Output.ShouldContain("not on WebGPU:");
        (await HealthAsync(device)).ShouldBe(("healthy", true));
    }

    [Fact]
    public async Task Without_the_device_the_next_provider_serves_and_the_worker_calls_itself_degraded()
    {
        File.Copy(Sample("fraud-detection-model"), _folder["model.onnx"]);
        await using var device = await StartAsync(("VK_ICD_FILENAMES", _folder["none.json"]), "WebGPU", "CUDA", "CPU");

        device.Output.ShouldContain("on CPU");
        (await HealthAsync(device)).ShouldBe(("degraded", false));
        device.Output.ShouldContain("WebGPU cannot be used here");
        device.Output.ShouldContain("CUDA cannot be used here");
    }

    Task<HostProcess> StartAsync(params string[] providers) => StartAsync(("Logging:LogLevel:GpuWorker", "Information"), providers);

    async Task<HostProcess> StartAsync((string Name, string Value) setting, params string[] providers)
    {
        var settings = new Dictionary<string, string>(_device.Environment) { ["Logging:LogLevel:GpuWorker"] = "Information", [setting.Name] = setting.Value };
        foreach (var (i, provider) in providers.Index())
            settings[$"Inference:Providers:{i}"] = provider;
        var server = await HostProcess.StartAsync(new HostLaunch("GpuWorker", settings) { Arguments = ["--serve-model", _folder.Path] });
        await server.ReadyAsync();
        return server;
    }

    static async Task<(string, bool)> HealthAsync(HostProcess server)
    {
        var health = await server.Http.GetFromJsonAsync<JsonElement>("/health");
        return (health.GetProperty("status").GetString()!, health.GetProperty("gpu_available").GetBoolean());
    }

    static async Task<double[]> ScoreAsync(HostProcess server, string body)
    {
        using var answer = await server.Http.PostAsync("/score", new StringContent(body, Encoding.UTF8, "application/json"));
        answer.EnsureSuccessStatusCode();
        return [.. (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("predictions").EnumerateArray().Select(row => row.GetProperty("score").GetDouble())];
    }

    static string Sample(string name) => Path.Combine(InferenceFixture.FindConformance(), "..", "..", "..", "samples", "models", name, "model.onnx");
}
