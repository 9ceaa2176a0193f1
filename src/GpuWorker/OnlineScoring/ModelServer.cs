using Artifacts;
using Contracts;
using GpuWorker.Inference;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using ServiceDefaults;

namespace GpuWorker.OnlineScoring;

/// <summary>
/// <c>GpuWorker --serve-model DIR</c>: one model behind <c>POST /score</c>, with no bus, no database and nobody else. Who may call is for
/// what stands before it to say, so it is for this machine alone until <c>Serve:Public</c> is set.
/// </summary>
public static class ModelServer
{
    const string Argument = "--serve-model";
    const string Public = "Serve:Public";
    const int Port = 5001;

    /// <returns>The folder that the arguments name; null when they ask for a worker.</returns>
    public static string? FolderOf(string[] args)
    {
        var place = Array.IndexOf(args, Argument);
        return place < 0 ? null
            : place + 1 < args.Length && !args[place + 1].StartsWith("--", StringComparison.Ordinal) ? args[place + 1]
            : throw new IOException($"{Argument} needs the folder of the model, with its .onnx file.");
    }

    /// <summary>Until the process is told to end.</summary>
    /// <exception cref="IOException">There is no such folder, or not one model in it.</exception>
    public static async Task RunAsync(string folder, string[] args)
    {
        var model = Find(folder);
        // What stands before the configuration's own arguments is ours.
        var place = Array.IndexOf(args, Argument);
        var builder = HostProcess.CreateBuilder([.. args[..place], .. args[(place + 2)..]], Port);
        if (!builder.Configuration.GetValue(Public, false))
            builder.AddLoopbackOnly($"set {Public}=true where something stands before this host that says who may call");
        builder.Services.AddArtifacts();
        builder.Services.Configure<ArtifactOptions>(artifacts => artifacts.ModelsRoot = Path.GetFullPath(folder));
        builder.Services.AddInference();
        builder.Services.AddOnlineScoring();
        builder.Services.AddSingleton(model);
        builder.Services.AddSingleton<WarmUp>();
        builder.Services.AddHostedService(services => services.GetRequiredService<WarmUp>());
        builder.Services.AddHealthChecks().AddCheck<WarmUp>("model", tags: [Health.Needed]);

        await using var app = builder.Build();
        app.MapProbes();
        WorkerHealth.Map(app);
        app.MapPost("/score", (HttpContext context, ScoreEndpoint endpoint) => endpoint.ScoreAsync(context, request => (model, Adapter(request, folder))));
        await app.RunToEndAsync();
    }

    static ModelRef Find(string folder)
    {
        if (!Directory.Exists(folder))
            throw new DirectoryNotFoundException($"There is no folder {folder}.");
        var named = Path.Combine(folder, "model.onnx");
        var found = File.Exists(named) ? [named] : Directory.GetFiles(folder, "*.onnx");
        if (found is not [var path])
            throw new FileNotFoundException($"{folder} has {found.Length} .onnx files and no model.onnx; it must have one model.");
        try
        {
            var version = ModelSession.VersionAt(Path.GetFullPath(path), new InferenceOptions().MaxModelBytes);
            return new ModelRef(Path.GetFileName(Path.GetFullPath(folder)), version, new Uri(Path.GetFullPath(path)).AbsoluteUri);
        }
        catch (FailureException e)
        {
            throw new IOException(e.Message, e);
        }
    }

    // By the names of the files that are there: no path is made of what a caller says.
    static AdapterRef? Adapter(HttpRequest request, string folder)
    {
        if (request.Query["adapter"] is not [{ Length: > 0 } name, ..])
            return null;
        var adapters = Directory.GetFiles(folder, "*.onnx_adapter");
        return adapters.FirstOrDefault(path => Path.GetFileNameWithoutExtension(path) == name) is { } found
            ? new AdapterRef(FileUri.FromPath(found), null)
            : throw new FailureException("adapter_unknown", $"There is no adapter {name}; there are: {string.Join(", ", adapters.Select(Path.GetFileNameWithoutExtension).Order())}.",
                new FieldFailure("adapter", "adapter_unknown", "There is none of this name."));
    }

    /// <summary>Opens the model and runs it before the host calls itself ready. A model that cannot be served ends the host.</summary>
    sealed class WarmUp(OnlineScorer scorer, ModelRef model, IHostApplicationLifetime lifetime) : BackgroundService, IHealthCheck
    {
        volatile bool isWarm;

        public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
            Task.FromResult(isWarm ? HealthCheckResult.Healthy() : HealthCheckResult.Unhealthy("The model is being opened."));

        protected override async Task ExecuteAsync(CancellationToken stoppingToken)
        {
            // A host that is told to stop while it starts ends with an exception.
            var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            await using var announced = lifetime.ApplicationStarted.Register(started.SetResult);
            await started.Task.WaitAsync(stoppingToken);
            try
            {
                await scorer.WarmUpAsync(model, stoppingToken);
                isWarm = true;
            }
            catch (FailureException e)
            {
                await Console.Error.WriteLineAsync(e.Message);
                Environment.ExitCode = 1;
                lifetime.StopApplication();
            }
        }
    }
}
