using System.Security.Cryptography;
using Artifacts;
using Contracts;

namespace Api.Models;

/// <summary>One file on its way in.</summary>
sealed record IncomingFile(string Path, FileDigest Digest)
{
    public string Name => System.IO.Path.GetFileName(Path);
}

/// <summary>A model's files on their way in, in a folder of their own. It is gone when disposed.</summary>
/// <param name="Folder">What they are in.</param>
/// <param name="Version">sha256 of the .onnx file, or of the list of all files.</param>
/// <param name="Contents">Every file, the .onnx file first.</param>
/// <param name="Field">What the caller called it; failures name it.</param>
/// <param name="Files">The same; null where the .onnx file is all.</param>
sealed record IncomingModel(string Folder, string Version, IReadOnlyList<IncomingFile> Contents, string Field, IReadOnlyList<ModelFile>? Files) : IDisposable
{
    /// <summary>Of all files.</summary>
    public long Bytes => Contents.Sum(file => file.Digest.Length);

    public void Dispose() => Directory.Delete(Folder, recursive: true);
}

/// <summary>A LoRA adapter's file on its way in. It goes with the folder that it came to.</summary>
sealed record IncomingAdapter(IncomingFile Content)
{
    public string Sha256 => Content.Digest.Sha256;

    public long Bytes => Content.Digest.Length;
}

/// <summary>Files of one model that are still coming in. What was not finished is gone when disposed.</summary>
sealed class IncomingFiles(string folder, ApiOptions options) : IDisposable
{
    const int MostFiles = 1000;

    readonly List<ModelFile> others = [];
    ModelFile? model;
    long otherBytes;
    bool isFinished;

    /// <exception cref="FailureException">Empty, larger than allowed, or the second.</exception>
    public async Task TakeModelAsync(Stream content, string field, CancellationToken cancellationToken)
    {
        if (model is not null)
            throw new FailureException("duplicate_field", "The form has two models.", new FieldFailure(field, "duplicate_field", "Send one .onnx file."));
        model = await TakeAsync(content, ModelFile.Model, field, options.MaxModelBytes, $"A model may have at most {options.MaxModelBytes} bytes.", cancellationToken);
    }

    /// <summary>A file that the model keeps weights in.</summary>
    /// <param name="name">As the model writes it.</param>
    /// <exception cref="FailureException">Empty, larger than allowed, or not to be called so.</exception>
    public async Task TakeOtherAsync(Stream content, string name, string field, CancellationToken cancellationToken)
    {
        if (!ModelFile.IsName(name))
            throw new FailureException("name_invalid", $"{name} cannot be the name of a model's file.", new FieldFailure(field, "name_invalid", "A file name is 1 to 200 characters without folders, and does not begin with a dot."));
        if (others.Exists(file => file.Name == name))
            throw new FailureException("duplicate_field", $"The form has {name} twice.", new FieldFailure(field, "duplicate_field", "Send each file once."));
        if (others.Count == MostFiles)
            throw new FailureException("out_of_range", $"A model may have at most {MostFiles} files.", new FieldFailure(field, "out_of_range", "Save its weights in fewer files."));
        var file = await TakeAsync(
            content, name, field, options.MaxModelDataBytes - otherBytes, $"A model's further files may have at most {options.MaxModelDataBytes} bytes together.", cancellationToken);
        otherBytes += file.Bytes;
        others.Add(file);
    }

    /// <exception cref="FailureException">Empty, or larger than allowed.</exception>
    public async Task<IncomingAdapter> TakeAdapterAsync(Stream content, string field, CancellationToken cancellationToken)
    {
        const string name = "adapter.onnx_adapter";
        var file = await TakeAsync(content, name, field, options.MaxAdapterBytes, $"An adapter may have at most {options.MaxAdapterBytes} bytes.", cancellationToken);
        return new IncomingAdapter(ContentOf(file));
    }

    /// <summary>Without a model among them, the only file is it.</summary>
    /// <returns>Null when there is none.</returns>
    public IncomingModel? TryFinish(string field)
    {
        if (model is null && others is [var only])
        {
            File.Move(Path.Join(folder, only.Name), Path.Join(folder, ModelFile.Model));
            model = only with { Name = ModelFile.Model };
            others.Clear();
        }

        return model is null ? null : Finish(field);
    }

    public IncomingModel Finish(string field)
    {
        isFinished = true;
        ModelFile[] files = [model!, .. others.OrderBy(file => file.Name, StringComparer.Ordinal)];
        var version = ModelFile.VersionOf(model!.Sha256, others.Select(file => (file.Name, file.Sha256)));
        return new IncomingModel(folder, version, [.. files.Select(ContentOf)], field, others.Count == 0 ? null : files);
    }

    public void Dispose()
    {
        if (!isFinished)
            Directory.Delete(folder, recursive: true);
    }

    IncomingFile ContentOf(ModelFile file) => new(Path.Join(folder, file.Name), new FileDigest(file.Bytes, file.Sha256));

    async Task<ModelFile> TakeAsync(Stream content, string name, string field, long most, string advice, CancellationToken cancellationToken)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        await using var file = new FileStream(Path.Join(folder, name), FileMode.CreateNew, FileAccess.Write, FileShare.None);
        var buffer = new byte[128 * 1024];
        while (await content.ReadAsync(buffer, cancellationToken) is > 0 and var read)
        {
            if (file.Length + read > most)
                throw new FailureException("body_too_large", advice);
            hash.AppendData(buffer, 0, read);
            await file.WriteAsync(buffer.AsMemory(0, read), cancellationToken);
        }

        return file.Length > 0
            ? new ModelFile(name, Convert.ToHexStringLower(hash.GetHashAndReset()), file.Length)
            : throw new FailureException("model_empty", $"The file {name} is empty.", new FieldFailure(field, "model_empty", "It is empty."));
    }
}
