using System.Security.Cryptography;
using Artifacts;
using Contracts;

namespace GpuWorker.Inference.Inspection;

/// <summary>A private folder with read-only copies of what is looked at. It is gone when disposed.</summary>
sealed class InspectionFolder : IDisposable
{
    public const string TaskName = "task.json";
    public const string AdapterName = "adapter.onnx_adapter";

    const string Prefix = "sagas-inspect-";

    static readonly TimeSpan Abandoned = TimeSpan.FromHours(1);

    readonly ArtifactStore artifacts;
    readonly InferenceOptions options;

    InspectionFolder(string path, ArtifactStore artifacts, InferenceOptions options) => (Path, this.artifacts, this.options) = (path, artifacts, options);

    public string Path { get; }

    public static InspectionFolder Create(ArtifactStore artifacts, InferenceOptions options, DateTimeOffset now)
    {
        var root = Directory.CreateDirectory(options.InspectFolder.Length > 0 ? options.InspectFolder : System.IO.Path.GetTempPath());
        // Of a worker that was killed while it looked at one.
        foreach (var old in root.EnumerateDirectories($"{Prefix}*").Where(folder => folder.LastWriteTimeUtc < now.UtcDateTime - Abandoned))
        {
            try
            {
                old.Delete(recursive: true);
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                // Another worker was faster, or it is another user's.
            }
        }
        var path = System.IO.Path.Join(root.FullName, $"{Prefix}{Guid.CreateVersion7():N}");
        Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        return new InspectionFolder(path, artifacts, options);
    }

    /// <summary>Copies the files of a model and checks that they are those of the version.</summary>
    /// <exception cref="FailureException"><c>model_missing</c>, <c>model_changed</c>, <c>model_invalid</c>; <c>artifacts_unavailable</c>, transient.</exception>
    public async Task AddModelAsync(string uri, string sha256, IReadOnlyList<ModelFile>? files, CancellationToken cancellationToken)
    {
        if (files is null)
        {
            await AddAsync(uri, sha256, ModelFile.Model, "model", cancellationToken);
            return;
        }
        if (!ModelFile.AreNames([.. files.Select(file => file.Name)]))
            throw new FailureException("model_invalid", "The list of the model's files is not one: a plain, different name each, the .onnx file first.");
        var (first, others) = (files[0], files.Skip(1).ToList());
        CheckSame(sha256, ModelFile.VersionOf(first.Sha256, others.Select(file => (file.Name, file.Sha256))));
        await AddAsync(uri, first.Sha256, ModelFile.Model, "model", cancellationToken);
        foreach (var file in others)
        {
            // Beside the model by name: no link there leads anywhere.
            var place = ArtifactStore.ModelFileUri(uri, file.Name);
            RequireNoLink(place, file.Name);
            await AddAsync(place, file.Sha256, file.Name, file.Name, cancellationToken);
        }
    }

    /// <exception cref="FailureException"><c>model_missing</c>, <c>model_changed</c>, <c>model_invalid</c>; <c>artifacts_unavailable</c>, transient.</exception>
    public Task AddAdapterAsync(string uri, string sha256, CancellationToken cancellationToken) => AddAsync(uri, sha256, AdapterName, "adapter", cancellationToken);

    public void AddTask(InspectionTask task) => File.WriteAllText(System.IO.Path.Join(Path, TaskName), WireJson.Write(task));

    public void Dispose() => Directory.Delete(Path, recursive: true);

    static void CheckSame(string expected, string actual)
    {
        if (!string.Equals(expected, actual, StringComparison.OrdinalIgnoreCase))
            throw new FailureException("model_changed", $"The model file has sha256 {actual} where {expected} was expected; register the model again.");
    }

    async Task AddAsync(string uri, string sha256, string name, string field, CancellationToken cancellationToken)
    {
        if (RemoteUri.Is(uri))
        {
            // A copy of the copy: what the process does to its own file, it does to no other's.
            using var fetched = await LocalModel.FetchAsync(artifacts, uri, sha256, field, cancellationToken);
            CheckSame(sha256, Copy(fetched.Path, name));
            return;
        }
        var path = artifacts.LocalPath(uri, ArtifactAccess.Read, field);
        try
        {
            // Never a pipe or device, whose opening may wait for ever.
            CheckSame(sha256, Copy(artifacts.Pin(FileUri.FromPath(path), ArtifactAccess.Read, name).Path, name));
        }
        catch (FailureException error) when (error.Failure.Code is "input_missing" or "input_unreadable")
        {
            throw new FailureException(new Failure("model_missing", $"The model file {System.IO.Path.GetFileName(path)} cannot be read: it is absent or not readable."), inner: error);
        }
        catch (FailureException error) when (error.Failure.Code is "input_empty")
        {
            throw new FailureException(new Failure("model_invalid", $"{name} is empty."), inner: error);
        }
    }

    void RequireNoLink(string uri, string name)
    {
        if (!RemoteUri.Is(uri) && System.IO.Path.GetFileName(artifacts.LocalPath(uri, ArtifactAccess.Read, name)) != name)
            throw new FailureException("model_invalid", $"{name} is a link; send the file itself.");
    }

    /// <returns>sha256.</returns>
    string Copy(string path, string name)
    {
        using var source = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, FileOptions.SequentialScan);
        // Weights in files of their own may be larger than a model can.
        if (name == ModelFile.Model && source.Length > options.MaxModelBytes)
            throw new FailureException("model_invalid", $"{name} has {source.Length} bytes; at most {options.MaxModelBytes} are allowed (Inference:MaxModelBytes).");
        using var copy = new FileStream(System.IO.Path.Join(Path, name), new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            UnixCreateMode = UnixFileMode.UserRead,
            BufferSize = 0,
        });
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[1 << 20];
        while (source.Read(buffer) is > 0 and var read)
        {
            hash.AppendData(buffer, 0, read);
            copy.Write(buffer, 0, read);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
