using System.Text;
using Artifacts;
using Artifacts.Caching;
using Contracts;

namespace GpuWorker.Inference;

/// <summary>A model's files on this machine, beside each other under the names that the model has for them, until this is disposed.</summary>
/// <remarks>
/// ONNX Runtime reads the .onnx file whole and maps the others when it opens a model; what is mapped stays so when the file has no name any more.
/// </remarks>
sealed class LocalModel : IDisposable
{
    const int LargestList = 1 << 20;

    readonly IDisposable? lease;

    LocalModel(string path, IDisposable? lease = null, IReadOnlyDictionary<string, string>? verified = null) => (Path, this.lease, Verified) = (path, lease, verified);

    /// <summary>Of the .onnx file.</summary>
    public string Path { get; }

    /// <summary>sha256 of files that were looked at when they were fetched, by name; null where none was.</summary>
    public IReadOnlyDictionary<string, string>? Verified { get; }

    /// <exception cref="FailureException"><c>model_missing</c>, <c>model_changed</c>, <c>model_invalid</c>; <c>models_disabled</c>: it is in an account
    /// that this worker was not told of; or <c>artifacts_unavailable</c>, transient.</exception>
    public static async Task<LocalModel> OpenAsync(ArtifactStore artifacts, ModelRef model, CancellationToken cancellationToken = default)
    {
        if (!RemoteUri.Is(model.Uri))
            return new LocalModel(artifacts.LocalPath(model.Uri, ArtifactAccess.Read, "model"));
        return await TranslateAsync(model.Sha256, async () =>
        {
            if (await FilesAsync(artifacts, model, cancellationToken) is not { } files)
            {
                var file = await artifacts.FetchAsync(model.Uri, model.Sha256, ArtifactAccess.Read, "model", cancellationToken);
                return new LocalModel(file.Path, file);
            }
            var folder = await artifacts.FetchFolderAsync(
                [.. files.Select(file => (file.Name, ArtifactStore.ModelFileUri(model.Uri, file.Name), file.Sha256))], ArtifactAccess.Read, "model", cancellationToken);
            return new LocalModel(System.IO.Path.Join(folder.Path, ModelFile.Model), folder, files.ToDictionary(file => file.Name, file => file.Sha256));
        });
    }

    /// <exception cref="FailureException">As for a model.</exception>
    public static async Task<LocalFile> FetchAdapterAsync(ArtifactStore artifacts, AdapterRef adapter, CancellationToken cancellationToken = default)
    {
        if (RemoteUri.Is(adapter.Uri))
        {
            return adapter.Sha256 is { } known
                ? await FetchAsync(artifacts, adapter.Uri, known, "adapter", cancellationToken)
                : throw new FailureException("field_missing", "The sha256 of the adapter is missing.", new FieldFailure("adapter", "field_missing", "A file of a container is had by its sha256."));
        }
        var path = artifacts.Pin(adapter.Uri, ArtifactAccess.Read, "adapter").Path;
        if (adapter.Sha256 is { } sha256 && (await ArtifactStore.DigestAsync(path, cancellationToken)).Sha256 != sha256)
            throw new FailureException("model_changed", $"The adapter file is not the one with sha256 {sha256}; register the adapter again.");
        return LocalFile.Here(path);
    }

    /// <summary>One file of a model, or an adapter, by its content.</summary>
    /// <exception cref="FailureException">As for a whole model.</exception>
    public static Task<LocalFile> FetchAsync(ArtifactStore artifacts, string uri, string sha256, string field, CancellationToken cancellationToken = default) =>
        TranslateAsync(sha256, () => artifacts.FetchAsync(uri, sha256, ArtifactAccess.Read, field, cancellationToken));

    public void Dispose() => lease?.Dispose();

    // Who asks online does not say which files there are. The list beside the folder does, and its sha256 is the version.
    static async Task<IReadOnlyList<(string Name, string Sha256)>?> FilesAsync(ArtifactStore artifacts, ModelRef model, CancellationToken cancellationToken)
    {
        if (model.Files is { Count: > 0 } known)
            return Read(Encoding.UTF8.GetString(ModelFile.ListOf(known)));
        var end = $"/{model.Sha256}/{ModelFile.Model}";
        if (!model.Uri.EndsWith(end, StringComparison.Ordinal))
            return null;
        using var list = await artifacts.FetchAsync($"{model.Uri[..^end.Length]}/{model.Sha256}.sha256", model.Sha256, ArtifactAccess.Read, "model", cancellationToken);
        if (new FileInfo(list.Path).Length > LargestList)
            throw new FailureException("model_invalid", "The list of the model's files is longer than one can be.");
        return Read(await File.ReadAllTextAsync(list.Path, Encoding.UTF8, cancellationToken));
    }

    static IReadOnlyList<(string Name, string Sha256)> Read(string list)
    {
        try
        {
            return ModelFile.ReadList(list);
        }
        catch (FormatException error)
        {
            throw new FailureException(new Failure("model_invalid", $"The list of the model's files is not one: {error.Message}"), inner: error);
        }
    }

    // What is wrong with a file of a container has the names that it has in a folder.
    static async Task<T> TranslateAsync<T>(string sha256, Func<Task<T>> fetch)
    {
        if (sha256.Length != 64 || !sha256.All(char.IsAsciiHexDigitLower))
            throw new FailureException("model_changed", $"{sha256} is no sha256 that a file could have; register the model again.");
        try
        {
            return await fetch();
        }
        catch (FailureException error) when (error.Failure.Code is "input_missing")
        {
            throw new FailureException(new Failure("model_missing", $"A file of the model is not there: {error.Failure.Message}"), inner: error);
        }
        catch (FailureException error) when (error.Failure.Code is "uri_host_not_allowed" or "uri_scheme_not_allowed")
        {
            throw new FailureException(new Failure("models_disabled",
                "This worker has no account for the container of the models. Give it the same Artifacts:Blob:Accounts and Artifacts:ModelsRoot as the API."), inner: error);
        }
        catch (FailureException error) when (error.Failure.Code is "artifact_differs" or FailureCodes.InputChanged or "input_empty")
        {
            throw new FailureException(new Failure("model_changed", $"A file of the model is not the one with sha256 {sha256}; register the model again."), inner: error);
        }
    }
}
