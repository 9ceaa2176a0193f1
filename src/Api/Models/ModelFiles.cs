using Artifacts;
using Contracts;
using Microsoft.Extensions.Options;

namespace Api.Models;

/// <summary>A model's files on their way in, in a folder of their own. It is gone when disposed.</summary>
/// <param name="Path">Of the .onnx file.</param>
/// <param name="Version">sha256 of the .onnx file, or of the list of all files.</param>
/// <param name="Bytes">Of all files.</param>
/// <param name="Field">What the caller called it; failures name it.</param>
/// <param name="Files">Every file, the .onnx file first; null where that is all.</param>
sealed record IncomingModel(string Path, string Uri, string Version, long Bytes, string Field, IReadOnlyList<ModelFile>? Files) : IDisposable
{
    public string Folder => System.IO.Path.GetDirectoryName(Path)!;

    public void Dispose() => Directory.Delete(Folder, recursive: true);
}

/// <summary>
/// The registered models' files, by tenant and content: <c>{root}/@{tenant}/ab/abcd….onnx</c>, or with others beside it
/// <c>{root}/@{tenant}/ab/abcd…/model.onnx</c>. A file never changes once it is there.
/// </summary>
sealed class ModelFiles(ArtifactStore store, IOptions<ApiOptions> options, TimeProvider clock)
{
    static readonly TimeSpan Abandoned = TimeSpan.FromHours(1);

    string Root => store.Options.ModelsRoot is { Length: > 0 } root
        ? Path.GetFullPath(root)
        : throw new FailureException("models_disabled", "This platform has no folder for models. Set Artifacts:ModelsRoot.");

    // By the tenant's own view: a link in place of the folder leads nowhere else.
    string PathOf(string tenant, params string[] names) => store.For(tenant)
        .LocalPath(FileUri.Append(FileUri.FromPath(Root), [ArtifactStore.FolderOf(tenant), .. names]), ArtifactAccess.Model, "models");

    /// <summary>A folder for what comes in, in which only its maker writes.</summary>
    public IncomingFiles Open(string tenant)
    {
        var incoming = Directory.CreateDirectory(PathOf(tenant, ".incoming"));
        foreach (var old in incoming.EnumerateDirectories().Where(IsAbandoned))
            old.Delete(recursive: true);
        return new IncomingFiles(incoming.CreateSubdirectory($"{Guid.CreateVersion7():n}").FullName, options.Value);
    }

    /// <exception cref="FailureException">Empty, or larger than allowed.</exception>
    public async Task<IncomingModel> TakeAsync(string tenant, Stream content, string field, CancellationToken cancellationToken)
    {
        using var files = Open(tenant);
        await files.TakeModelAsync(content, field, cancellationToken);
        return files.Finish(field);
    }

    /// <returns>URI of the .onnx file in its final place.</returns>
    public string Keep(string tenant, IncomingModel model)
    {
        if (model.Files is null)
            return Keep(tenant, model.Path, model.Version, "onnx");

        // The list comes last: where it is, everything is. Whoever comes at the same time writes the same bytes.
        var list = PathOf(tenant, model.Version[..2], $"{model.Version}.sha256");
        var path = PathOf(tenant, model.Version[..2], model.Version, ModelFile.Model);
        if (!File.Exists(list))
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            foreach (var file in model.Files)
                ArtifactStore.Seal(Path.Join(model.Folder, file.Name), PathOf(tenant, model.Version[..2], model.Version, file.Name));
            var lines = Path.Join(model.Folder, ".list");
            File.WriteAllLines(lines, model.Files.Select(file => $"{file.Sha256}  {file.Name}"));
            ArtifactStore.Seal(lines, list);
        }

        return FileUri.FromPath(path);
    }

    /// <param name="path">Of a finished file.</param>
    /// <returns>URI of the file in its final place.</returns>
    public string Keep(string tenant, string path, string sha256, string extension)
    {
        var kept = PathOf(tenant, sha256[..2], $"{sha256}.{extension}");
        if (!File.Exists(kept))
        {
            Directory.CreateDirectory(Path.GetDirectoryName(kept)!);
            ArtifactStore.Seal(path, kept);
        }

        return FileUri.FromPath(kept);
    }

    // By its youngest file: a slow upload is none that was left.
    bool IsAbandoned(DirectoryInfo folder)
    {
        var oldest = clock.GetUtcNow().UtcDateTime - Abandoned;
        return folder.LastWriteTimeUtc < oldest && folder.EnumerateFiles().All(file => file.LastWriteTimeUtc < oldest);
    }
}
