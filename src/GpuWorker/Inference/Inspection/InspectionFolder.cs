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
    /// <exception cref="FailureException"><c>model_missing</c>, <c>model_changed</c>, <c>model_invalid</c>.</exception>
    public void AddModel(string uri, string sha256, IReadOnlyList<ModelFile>? files)
    {
        var model = Copy(artifacts.LocalPath(uri, ArtifactAccess.Read, "model"), ModelFile.Model);
        if (files is null)
        {
            CheckSame(sha256, model);
            return;
        }
        var others = files.Skip(1).ToList();
        if (files is not [{ Name: ModelFile.Model } first, ..] || !others.TrueForAll(file => ModelFile.IsName(file.Name))
            || others.DistinctBy(file => file.Name).Count() < others.Count)
        {
            throw new FailureException("model_invalid", "The list of the model's files is not one: a plain, different name each, the .onnx file first.");
        }
        CheckSame(first.Sha256, model);
        foreach (var file in others)
        {
            // Beside the model by name: no link there leads anywhere.
            var path = artifacts.LocalPath(FileUri.Append(uri[..uri.LastIndexOf('/')], file.Name), ArtifactAccess.Read, file.Name);
            if (System.IO.Path.GetFileName(path) != file.Name)
                throw new FailureException("model_invalid", $"{file.Name} is a link; send the file itself.");
            CheckSame(file.Sha256, Copy(path, file.Name));
        }
        CheckSame(sha256, ModelFile.VersionOf(model, others.Select(file => (file.Name, file.Sha256))));
    }

    /// <exception cref="FailureException"><c>model_missing</c>, <c>model_changed</c>, <c>model_invalid</c>.</exception>
    public void AddAdapter(string uri, string sha256) => CheckSame(sha256, Copy(artifacts.LocalPath(uri, ArtifactAccess.Read, "adapter"), AdapterName));

    public void AddTask(InspectionTask task) => File.WriteAllText(System.IO.Path.Join(Path, TaskName), WireJson.Write(task));

    public void Dispose() => Directory.Delete(Path, recursive: true);

    static void CheckSame(string expected, string actual)
    {
        if (!string.Equals(expected, actual, StringComparison.OrdinalIgnoreCase))
            throw new FailureException("model_changed", $"The model file has sha256 {actual} where {expected} was expected; register the model again.");
    }

    /// <returns>sha256.</returns>
    string Copy(string path, string name)
    {
        try
        {
            // Never a pipe or device, whose opening may wait for ever.
            var pinned = artifacts.Pin(FileUri.FromPath(path), ArtifactAccess.Read, name);
            // Weights in files of their own may be larger than a model can.
            if (name == ModelFile.Model && pinned.Length > options.MaxModelBytes)
                throw new FailureException("model_invalid", $"{name} has {pinned.Length} bytes; at most {options.MaxModelBytes} are allowed (Inference:MaxModelBytes).");
            using var source = new FileStream(pinned.Path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, FileOptions.SequentialScan);
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
        catch (FailureException error) when (error.Failure.Code is "input_missing" or "input_unreadable")
        {
            throw new FailureException(new Failure("model_missing", $"The model file {System.IO.Path.GetFileName(path)} cannot be read: it is absent or not readable."), inner: error);
        }
        catch (FailureException error) when (error.Failure.Code is "input_empty")
        {
            throw new FailureException(new Failure("model_invalid", $"{name} is empty."), inner: error);
        }
    }
}
