using Artifacts.Blobs;
using Artifacts.Caching;
using Contracts;

namespace Artifacts;

// Registered models, where they are kept in a container. In a folder they are files like others.
public sealed partial class ArtifactStore
{
    /// <summary>Whether registered models are kept in a container.</summary>
    public bool KeepsModelsInContainer => remotes.Places.Models is not null;

    /// <summary>A place in this tenant's part of the models root.</summary>
    /// <exception cref="FailureException"><c>models_disabled</c>: there is no models root.</exception>
    public string ModelUri(params string[] names)
    {
        var root = remotes.Places.Models?.Uri
            ?? (Options.ModelsRoot.Length > 0 ? FileUri.FromPath(Options.ModelsRoot) : throw new FailureException("models_disabled", "This platform has no place for models. Set Artifacts:ModelsRoot."));
        return FileUri.Append(root, [FolderOf(tenant ?? throw new InvalidOperationException("Models are a tenant's.")), .. names]);
    }

    /// <summary>Where one of a model's files lies.</summary>
    /// <param name="modelUri">Of the .onnx file, which in its place may have another name than in the list.</param>
    public static string ModelFileUri(string modelUri, string name) => name == ModelFile.Model ? modelUri : FileUri.Beside(modelUri, name);

    /// <summary>Uploads a file of a model, which is there wholly or not at all. Repeating it is harmless.</summary>
    /// <exception cref="FailureException"><c>artifact_differs</c>: something else has the name.</exception>
    public async Task UploadModelAsync(Stream content, string uri, FileDigest digest, CancellationToken cancellationToken = default)
    {
        try
        {
            await BlobFiles.WriteAsync(ModelBlob(uri), content, digest, cancellationToken);
        }
        catch (FailureException e) when (e.Failure.Code == "file_exists")
        {
            throw Differs(uri);
        }
    }

    /// <summary>Gives an uploaded file its final name by a copy within the account. Repeating it is harmless, also when the upload is gone by then.</summary>
    /// <exception cref="FailureException"><c>artifact_differs</c>: something else has the name; <c>artifacts_unavailable</c>, transient: there is no upload.</exception>
    public async Task KeepModelAsync(string uploadedUri, string uri, FileDigest digest, CancellationToken cancellationToken = default)
    {
        var (from, to) = (ModelBlob(uploadedUri), ModelBlob(uri));
        if (!await BlobFiles.CopyAsync(from, to, digest, cancellationToken))
            throw await BlobFiles.ExistsAsync(to, cancellationToken) ? Differs(uri) : RemoteFailures.Unavailable(from.Path, null, "the upload is gone");
    }

    /// <summary>Removes what lies below one of the tenant's folders for models.</summary>
    /// <param name="before">Only what was written before; null for all.</param>
    public Task DeleteModelsAsync(string uri, DateTimeOffset? before = null, CancellationToken cancellationToken = default) =>
        remotes.Blobs.DeleteFolderAsync(ModelBlob(uri), cancellationToken, before);

    /// <summary>A remote file to be read from any position on.</summary>
    /// <returns>Null where there is none.</returns>
    public async Task<Stream?> TryOpenReadAsync(string uri, ArtifactAccess access, string field, CancellationToken cancellationToken = default)
    {
        var place = Blob(uri, access, field);
        return await BlobFiles.TryPinAsync(place, place.FileName, field, cancellationToken) is { } file
            ? new RemoteStream(remotes.Blobs, file)
            : null;
    }

    /// <summary>Remote files by their content, as <see cref="FetchAsync(string, string, ArtifactAccess, string, CancellationToken)"/> gives one, side by side.</summary>
    /// <param name="files">Plain names, and sha256 of the content in small hexadecimal letters.</param>
    public async Task<LocalFolder> FetchFolderAsync(
        IReadOnlyList<(string Name, string Uri, string Sha256)> files, ArtifactAccess access, string field, CancellationToken cancellationToken = default)
    {
        foreach (var (_, uri, _) in files)
            Require(uri, access, field);
        var folder = new LocalFolder(remotes.Cache!.NewFolder());
        try
        {
            foreach (var (name, uri, sha256) in files)
                folder.Add(name, await FetchAsync(uri, sha256, access, field, folder.Bytes, cancellationToken));
            return folder;
        }
        catch
        {
            folder.Dispose();
            throw;
        }
    }

    BlobPlace ModelBlob(string uri) => Blob(uri, ArtifactAccess.Model, "model");

    FailureException Differs(string uri) => new("artifact_differs", $"{ModelBlob(uri).Path} is there already and is not what its name says. Have the operator look at it.");
}
