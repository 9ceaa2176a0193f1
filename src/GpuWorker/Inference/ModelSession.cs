using System.Security.Cryptography;
using Artifacts;
using Contracts;
using Interop.OnnxRuntime;

namespace GpuWorker.Inference;

/// <summary>A model opened for scoring: one thread a run, which is the caller's, so that the callers are the parallelism.</summary>
public sealed class ModelSession : IDisposable
{
    int rowLimit = int.MaxValue;

    ModelSession(string sha256, OnnxSession onnx, OnnxModelFile file, long fileBytes) => (Sha256, Onnx, File, FileBytes) = (sha256, onnx, file, fileBytes);

    public string Sha256 { get; }

    public OnnxSession Onnx { get; }

    public OnnxModelFile File { get; }

    /// <summary>Size of the file.</summary>
    public long FileBytes { get; }

    /// <summary>Most rows that fit the device's memory at once, as far as it has shown; many when it has not.</summary>
    public int RowLimit => Volatile.Read(ref rowLimit);

    /// <summary>So many rows did not fit: from now on at most half of them are run together.</summary>
    public void LimitRows(int tooMany) => LimitRowsTo(Math.Max(1, tooMany / 2));

    /// <summary>So many fit, as was found before.</summary>
    internal void LimitRowsTo(int most)
    {
        for (var known = RowLimit; known > most && Interlocked.CompareExchange(ref rowLimit, most, known) != known; known = RowLimit)
        {
        }
    }

    /// <summary>Reads, checks and opens a model file, which may be anything at all.</summary>
    /// <param name="sha256">What the file must have; <c>model_changed</c> otherwise.</param>
    /// <exception cref="FailureException"><c>model_missing</c>, <c>model_changed</c>, <c>model_invalid</c>, <c>model_unsupported_operator</c>.</exception>
    public static ModelSession Open(OnnxEnvironment environment, string path, string sha256, InferenceOptions options)
    {
        var bytes = Read(path, options.MaxModelBytes);
        var actual = Convert.ToHexStringLower(SHA256.HashData(bytes));
        if (!string.Equals(actual, sha256, StringComparison.OrdinalIgnoreCase))
            throw new FailureException("model_changed", $"The model file has sha256 {actual} where {sha256} was expected; register the model again.");
        var file = Parse(bytes, path);
        try
        {
            var session = OnnxSession.FromBytes(environment, bytes, new OnnxSessionOptions
            {
                IntraOpThreads = 1,
                InterOpThreads = 1,
                // The number of rows varies, and a plan is kept for each.
                MemoryPattern = false,
                SharedArena = options.ArenaMegabytes > 0,
                Providers = options.EffectiveProviders,
                Config = Config(path, options),
            });
            return new ModelSession(actual, session, file, bytes.Length);
        }
        catch (OnnxException error)
        {
            throw Refusal(file, error);
        }
    }

    public void Dispose() => Onnx.Dispose();

    // Without the CPU in the list nothing may run there.
    static Dictionary<string, string> Config(string path, InferenceOptions options)
    {
        var config = new Dictionary<string, string> { ["session.model_external_initializers_file_folder_path"] = Path.GetDirectoryName(path)! };
        if (!options.CpuFallback)
            config[OnnxSessionOptions.NoCpuFallback] = "1";
        return config;
    }

    static byte[] Read(string path, long most)
    {
        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, FileOptions.SequentialScan);
            if (stream.Length > most)
                throw new FailureException("model_invalid", $"The model file has {stream.Length} bytes; at most {most} are allowed (Inference:MaxModelBytes).");
            var bytes = new byte[stream.Length];
            stream.ReadExactly(bytes);
            return bytes;
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException or UnauthorizedAccessException)
        {
            throw new FailureException(new Failure("model_missing", $"The model file {Path.GetFileName(path)} cannot be read: it is absent or not readable."), inner: error);
        }
    }

    static OnnxModelFile Parse(byte[] bytes, string path)
    {
        OnnxModelFile file;
        try
        {
            file = OnnxModelFile.Parse(bytes);
        }
        catch (InvalidDataException error)
        {
            throw new FailureException(new Failure("model_invalid", $"The file is not an ONNX model: {error.Message}. Export the model as .onnx and register that."), inner: error);
        }
        var folder = RealPath.Of(Path.GetDirectoryName(path)!)!;
        foreach (var external in file.ExternalFiles)
        {
            if (external.Contains('\0', StringComparison.Ordinal) || RealPath.Of(Path.Combine(folder, external)) is not { } target || !RealPath.IsWithin(target, folder))
                throw new FailureException("model_invalid", $"The model keeps weights in {external}, which is outside its folder; save it as one file.");
            if (!System.IO.File.Exists(target))
                throw new FailureException("model_invalid", $"The model keeps weights in {external}, which is not there; save it as one file.");
        }
        return file;
    }

    static FailureException Refusal(OnnxModelFile file, OnnxException error)
    {
        var foreign = file.Operators.Where(one => !IsBuiltIn(one.Domain)).Select(one => $"{one.Domain}.{one.Name}").Order().ToArray();
        if (foreign.Length > 0)
        {
            return new FailureException(new Failure("model_unsupported_operator",
                $"The model needs operators that are not part of ONNX Runtime: {string.Join(", ", foreign)}. Export it without custom operators. ({error.Message})"), inner: error);
        }
        return error.Code == OnnxErrorCode.NotImplemented || error.Message.Contains("is not a registered function/op", StringComparison.Ordinal)
            ? new FailureException(new Failure("model_unsupported_operator",
                $"ONNX Runtime {OnnxLibrary.Version} cannot run an operator of the model: {error.Message}"), inner: error)
            : new FailureException(new Failure("model_invalid", $"ONNX Runtime refuses the model: {error.Message}"), inner: error);
    }

    static bool IsBuiltIn(string domain) =>
        domain is "ai.onnx" or "ai.onnx.ml" or "ai.onnx.training" or "ai.onnx.preview.training"
        || domain.StartsWith("com.microsoft", StringComparison.Ordinal);
}
