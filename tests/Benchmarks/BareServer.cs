using System.Diagnostics;
using System.Text.Json;
using Interop.OnnxRuntime;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using ServiceDefaults;

namespace Benchmarks;

/// <summary>
/// What online scoring is measured against: Kestrel with one endpoint that reads one row with System.Text.Json, calls ONNX Runtime and
/// writes the outputs. No checks of names, no limits, no deadline, no metrics.
/// </summary>
sealed class BareServer : IAsyncDisposable
{
    internal const string Name = "bare-server";

    readonly Process _process;

    BareServer(Process process, Uri address) => (_process, Address) = (process, address);

    internal Uri Address { get; }

    internal static async Task<BareServer> StartAsync(string model)
    {
        var process = Process.Start(new ProcessStartInfo(
            Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet", [Path.Combine(AppContext.BaseDirectory, "Benchmarks.dll"), Name, model])
        { RedirectStandardOutput = true })!;
        return new BareServer(process, new Uri(await process.StandardOutput.ReadLineAsync() ?? throw new InvalidOperationException("The bare server did not start.")));
    }

    internal static async Task<int> RunAsync(string model)
    {
        OnnxLibrary.Load(NativeParts.OnnxRuntime());
        using var environment = new OnnxEnvironment();
        using var session = OnnxSession.FromFile(environment, model, new OnnxSessionOptions { IntraOpThreads = 1, InterOpThreads = 1 });
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        await using var app = builder.Build();
        app.MapPost("/score", async (HttpContext context) =>
        {
            var asked = await JsonSerializer.DeserializeAsync<Asked>(context.Request.Body, JsonSerializerOptions.Web, context.RequestAborted);
            var features = asked!.Data[0].Features;
            using var input = OnnxValue.Create<float>(features, [1, features.Length]);
            var outputs = session.Run([new OnnxInput("features", input)]);
            var answer = new Answered([new Prediction(outputs[0].Span<long>()[0], outputs[1].Span<float>()[0])]);
            foreach (var output in outputs)
                output.Dispose();
            var body = JsonSerializer.SerializeToUtf8Bytes(answer, JsonSerializerOptions.Web);
            context.Response.ContentType = "application/json";
            context.Response.ContentLength = body.Length;
            await context.Response.Body.WriteAsync(body);
        });
        await app.StartAsync();
        Console.WriteLine(app.Urls.First());
        await app.WaitForShutdownAsync();
        return 0;
    }

    public async ValueTask DisposeAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
    }

    sealed record Asked(IReadOnlyList<Row> Data);

    sealed record Row(float[] Features);

    sealed record Answered(IReadOnlyList<Prediction> Predictions);

    sealed record Prediction(long Label, float Score);
}
