using System.Security.Cryptography;
using Artifacts;
using Contracts;
using Microsoft.Extensions.Options;

namespace Api.Models;

/// <summary>A model's file on its way in. It is gone when disposed, unless it was kept.</summary>
/// <param name="Field">What the caller called it; failures name it.</param>
sealed record IncomingModel(string Path, string Uri, string Sha256, long Bytes, string Field) : IDisposable
{
    public void Dispose() => File.Delete(Path);
}

/// <summary>The registered models' files, by tenant and content: <c>{root}/@{tenant}/ab/abcd….onnx</c>. A file never changes once it is there.</summary>
sealed class ModelFiles(ArtifactStore store, IOptions<ApiOptions> options, TimeProvider clock)
{
    static readonly TimeSpan Abandoned = TimeSpan.FromHours(1);

    string Root => store.Options.ModelsRoot is { Length: > 0 } root
        ? Path.GetFullPath(root)
        : throw new FailureException("models_disabled", "This platform has no folder for models. Set Artifacts:ModelsRoot.");

    // By the tenant's own view: a link in place of the folder leads nowhere else.
    string PathOf(string tenant, params string[] names) => store.For(tenant)
        .LocalPath(FileUri.Append(FileUri.FromPath(Root), [ArtifactStore.FolderOf(tenant), .. names]), ArtifactAccess.Model, "models");

    /// <exception cref="FailureException">Empty, or larger than allowed.</exception>
    public async Task<IncomingModel> TakeAsync(string tenant, Stream content, string field, CancellationToken cancellationToken)
    {
        var folder = Directory.CreateDirectory(PathOf(tenant, ".incoming"));
        foreach (var old in folder.EnumerateFiles().Where(f => f.LastWriteTimeUtc < clock.GetUtcNow().UtcDateTime - Abandoned))
            old.Delete();

        var path = Path.Join(folder.FullName, $"{Guid.CreateVersion7():n}.onnx");
        try
        {
            var (sha256, bytes) = await CopyAsync(content, path, cancellationToken);
            return bytes > 0
                ? new IncomingModel(path, FileUri.FromPath(path), sha256, bytes, field)
                : throw new FailureException("model_empty", "The model's file is empty.", new FieldFailure(field, "model_empty", "It is empty."));
        }
        catch
        {
            File.Delete(path);
            throw;
        }
    }

    /// <returns>URI of the file in its final place.</returns>
    public string Keep(string tenant, IncomingModel model)
    {
        var path = PathOf(tenant, model.Sha256[..2], $"{model.Sha256}.onnx");
        if (!File.Exists(path))
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            ArtifactStore.Seal(model.Path, path);
        }

        return FileUri.FromPath(path);
    }

    async Task<(string Sha256, long Bytes)> CopyAsync(Stream content, string path, CancellationToken cancellationToken)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        await using var file = new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.None);
        var buffer = new byte[128 * 1024];
        while (await content.ReadAsync(buffer, cancellationToken) is > 0 and var read)
        {
            if (file.Length + read > options.Value.MaxModelBytes)
                throw new FailureException("body_too_large", $"A model may have at most {options.Value.MaxModelBytes} bytes.");
            hash.AppendData(buffer, 0, read);
            await file.WriteAsync(buffer.AsMemory(0, read), cancellationToken);
        }

        return (Convert.ToHexStringLower(hash.GetHashAndReset()), file.Length);
    }
}
