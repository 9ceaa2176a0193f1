using Artifacts;
using Contracts;
using GpuWorker.Inference.Inspection;
using Microsoft.Extensions.Options;
using ServiceDefaults;

namespace GpuWorker.Inference;

/// <summary>Has model files that nobody vouches for looked at, each in a process of its own over a private copy. This one never opens them.</summary>
public sealed class ModelInspector(ArtifactStore artifacts, IOptions<InferenceOptions> options, TimeProvider time) : IDisposable
{
    // Each may take as much memory as one may have, and measures how fast it is.
    readonly SemaphoreSlim atOnce = new(Math.Max(1, Environment.ProcessorCount / 2));

    /// <exception cref="FailureException">The model is refused: <c>model_missing</c>, <c>model_changed</c>, <c>model_invalid</c>,
    /// <c>model_unsupported_operator</c>, <c>model_dry_run_failed</c>, <c>model_too_slow</c>, <c>model_too_large</c>, <c>model_crashed</c>.
    /// Or nobody can tell: <c>inspection_unavailable</c>, <c>artifacts_unavailable</c>.</exception>
    public async Task<ModelInspected> InspectAsync(InspectModel asked, CancellationToken cancellationToken = default)
    {
        var report = await RunAsync(asked.Uri, asked.Sha256, asked.Files, null, cancellationToken);
        // Only what was asked about may be vouched for, whatever the child says.
        return report.Model is { } model ? model with { Sha256 = asked.Sha256 } : throw new InvalidOperationException("The child reported on something else.");
    }

    /// <exception cref="FailureException">As for a model, and <c>adapter_invalid</c>, <c>adapter_does_not_fit</c>.</exception>
    public async Task<AdapterInspected> InspectAsync(InspectAdapter asked, CancellationToken cancellationToken = default)
    {
        await RunAsync(asked.Base.Uri, asked.Base.Sha256, asked.Base.Files, asked, cancellationToken);
        return new AdapterInspected(asked.Sha256);
    }

    public void Dispose() => atOnce.Dispose();

    async Task<InspectionReport> RunAsync(string uri, string sha256, IReadOnlyList<ModelFile>? files, InspectAdapter? adapter, CancellationToken cancellationToken)
    {
        var settings = options.Value;
        await atOnce.WaitAsync(cancellationToken);
        try
        {
            using var folder = InspectionFolder.Create(artifacts, settings, time.GetUtcNow());
            // Off the transport's thread: a model may have gigabytes.
            await Task.Run(async () =>
            {
                await folder.AddModelAsync(uri, sha256, files, cancellationToken);
                if (adapter is not null)
                    await folder.AddAdapterAsync(adapter.Uri, adapter.Sha256, cancellationToken);
                folder.AddTask(new InspectionTask(
                    Path.GetFullPath(NativeParts.OnnxRuntime(settings.LibraryPath)), sha256, files, adapter?.Sha256, settings.MaxModelBytes, settings.DryRunSeconds));
            }, cancellationToken);
            return await new InspectionProcess(settings, time).RunAsync(folder, cancellationToken);
        }
        catch (IOException error)
        {
            throw new FailureException(new Failure("inspection_unavailable", "The worker cannot copy the model to try it. Try again later."), inner: error);
        }
        finally
        {
            atOnce.Release();
        }
    }
}
