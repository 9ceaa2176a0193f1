using Artifacts;
using Contracts;
using Microsoft.Extensions.Options;

namespace Api.Models;

/// <summary>
/// The registered models' files, by tenant and content: <c>{root}/@{tenant}/ab/abcd….onnx</c>, or with others beside it
/// <c>{root}/@{tenant}/ab/abcd…/model.onnx</c>. A file never changes once it is there. The root is a folder or a container.
/// </summary>
sealed class ModelFiles(ArtifactStore store, IOptions<ApiOptions> options, TimeProvider clock)
{
    const string Incoming = ".incoming";

    static readonly TimeSpan Abandoned = TimeSpan.FromHours(1);

    // Of a container's, nothing tells that somebody is still at it.
    static readonly TimeSpan AbandonedUpload = TimeSpan.FromDays(1);

    string PathOf(string tenant, params string[] names)
    {
        // By the tenant's own view: a link in place of the folder leads nowhere else.
        var own = store.For(tenant);
        return own.LocalPath(own.ModelUri(names), ArtifactAccess.Model, "models");
    }

    // A name is all that takes a file from there to its place in a folder.
    string IncomingOf(string tenant) =>
        !store.KeepsModelsInContainer ? PathOf(tenant, Incoming)
        : options.Value.UploadFolder is { Length: > 0 } folder ? folder
        : Path.Join(store.Options.CacheFolder, "incoming");

    /// <summary>A folder for what comes in, in which only its maker writes.</summary>
    public IncomingFiles Open(string tenant)
    {
        const UnixFileMode own = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        var path = IncomingOf(tenant);
        var incoming = store.KeepsModelsInContainer ? Directory.CreateDirectory(path, own) : Directory.CreateDirectory(path);
        foreach (var old in incoming.EnumerateDirectories())
            RemoveIfAbandoned(old);
        return new IncomingFiles(incoming.CreateSubdirectory($"{Guid.CreateVersion7():n}").FullName, options.Value);
    }

    /// <exception cref="FailureException">Empty, or larger than allowed.</exception>
    public async Task<IncomingModel> TakeAsync(string tenant, Stream content, string field, CancellationToken cancellationToken)
    {
        using var files = Open(tenant);
        await files.TakeModelAsync(content, field, cancellationToken);
        return files.Finish(field);
    }

    /// <summary>Puts what has come in where a worker can look at it, beside each other.</summary>
    /// <exception cref="FailureException"><c>artifacts_unavailable</c>, transient.</exception>
    public async Task<ShownFiles> ShowAsync(string tenant, IReadOnlyList<IncomingFile> files, CancellationToken cancellationToken)
    {
        if (!store.KeepsModelsInContainer)
            return new ShownFiles(FileUri.FromPath(files[0].Path), null);
        var own = store.For(tenant);
        await own.DeleteModelsAsync(own.ModelUri(Incoming), clock.GetUtcNow() - AbandonedUpload, cancellationToken);
        var shown = new ShownFiles(own.ModelUri(Incoming, $"{Guid.CreateVersion7():n}", files[0].Name), own);
        try
        {
            foreach (var file in files)
            {
                await using var content = new FileStream(file.Path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, useAsync: true);
                await own.UploadModelAsync(content, shown.UriOf(file.Name), file.Digest, cancellationToken);
            }
            return shown;
        }
        catch
        {
            await shown.DisposeAsync();
            throw;
        }
    }

    /// <param name="shown">The same files.</param>
    /// <returns>URI of the .onnx file in its final place.</returns>
    public async Task<string> KeepAsync(string tenant, IncomingModel model, ShownFiles shown, CancellationToken cancellationToken)
    {
        var folder = model.Version[..2];
        if (model.Files is null)
            return await KeepAsync(tenant, model.Contents[0], shown, [folder, $"{model.Version}.onnx"], cancellationToken);

        // The list comes last: where it is, everything is. Whoever comes at the same time writes the same bytes.
        var list = ModelFile.ListOf(model.Files);
        string[] listNames = [folder, $"{model.Version}.sha256"];
        if (store.KeepsModelsInContainer)
        {
            foreach (var file in model.Contents)
                await KeepAsync(tenant, file, shown, [folder, model.Version, file.Name], cancellationToken);
            var own = store.For(tenant);
            await own.UploadModelAsync(new MemoryStream(list), own.ModelUri(listNames), FileDigest.Of(list), cancellationToken);
        }
        else if (PathOf(tenant, listNames) is var place && !File.Exists(place))
        {
            Directory.CreateDirectory(PathOf(tenant, folder, model.Version));
            foreach (var file in model.Contents)
                ArtifactStore.Seal(file.Path, PathOf(tenant, folder, model.Version, file.Name));
            var lines = Path.Join(model.Folder, ".list");
            await File.WriteAllBytesAsync(lines, list, cancellationToken);
            ArtifactStore.Seal(lines, place);
        }

        return UriOf(tenant, folder, model.Version, ModelFile.Model);
    }

    /// <param name="shown">The same file.</param>
    /// <returns>URI of the file in its final place.</returns>
    public Task<string> KeepAsync(string tenant, IncomingAdapter adapter, ShownFiles shown, CancellationToken cancellationToken) =>
        KeepAsync(tenant, adapter.Content, shown, [adapter.Sha256[..2], $"{adapter.Sha256}.onnx_adapter"], cancellationToken);

    async Task<string> KeepAsync(string tenant, IncomingFile file, ShownFiles shown, string[] names, CancellationToken cancellationToken)
    {
        if (store.KeepsModelsInContainer)
        {
            var own = store.For(tenant);
            await own.KeepModelAsync(shown.UriOf(file.Name), own.ModelUri(names), file.Digest, cancellationToken);
        }
        else if (PathOf(tenant, names) is var kept && !File.Exists(kept))
        {
            Directory.CreateDirectory(Path.GetDirectoryName(kept)!);
            ArtifactStore.Seal(file.Path, kept);
        }

        return UriOf(tenant, names);
    }

    // A folder's with links followed, as it ever was.
    string UriOf(string tenant, params string[] names) =>
        store.KeepsModelsInContainer ? store.For(tenant).ModelUri(names) : FileUri.FromPath(PathOf(tenant, names));

    // By its youngest file: a slow upload is none that was left.
    void RemoveIfAbandoned(DirectoryInfo folder)
    {
        var oldest = clock.GetUtcNow().UtcDateTime - Abandoned;
        try
        {
            if (folder.LastWriteTimeUtc < oldest && folder.EnumerateFiles().All(file => file.LastWriteTimeUtc < oldest))
                folder.Delete(recursive: true);
        }
        catch (DirectoryNotFoundException)
        {
            // Another was faster.
        }
    }
}

/// <summary>What has come in, where workers see it. Copies that were made for that are gone when disposed.</summary>
/// <param name="Uri">Of the first file.</param>
/// <param name="copies">Whose the copies are; null where there are none.</param>
sealed class ShownFiles(string uri, ArtifactStore? copies) : IAsyncDisposable
{
    public string Uri => uri;

    public string UriOf(string name) => FileUri.Beside(uri, name);

    public async ValueTask DisposeAsync()
    {
        try
        {
            if (copies is not null)
                await copies.DeleteModelsAsync(uri[..uri.LastIndexOf('/')]);
        }
        catch (FailureException)
        {
            // Nobody sees them, and a later upload removes what was left.
        }
    }
}
