using System.Security.Cryptography;
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
    /// <param name="sha256">The version: what the file, or with others the list of them, must have; <c>model_changed</c> otherwise.</param>
    /// <param name="verified">sha256 of files beside it that need not be read for it, by name.</param>
    /// <exception cref="FailureException"><c>model_missing</c>, <c>model_changed</c>, <c>model_invalid</c>, <c>model_unsupported_operator</c>.</exception>
    public static ModelSession Open(OnnxEnvironment environment, string path, string sha256, InferenceOptions options, IReadOnlyDictionary<string, string>? verified = null)
    {
        var bytes = Read(path, options.MaxModelBytes);
        var actual = Convert.ToHexStringLower(SHA256.HashData(bytes));
        var file = Version(bytes, path, ref actual, sha256, verified);
        try
        {
            var settings = new OnnxSessionOptions
            {
                IntraOpThreads = 1,
                InterOpThreads = 1,
                // The number of rows varies, and a plan is kept for each.
                MemoryPattern = false,
                SharedArena = options.ArenaMegabytes > 0,
                Providers = options.EffectiveProviders,
                Config = options.CpuFallback ? new Dictionary<string, string>() : new Dictionary<string, string> { [OnnxSessionOptions.NoCpuFallback] = "1" },
            };
            // What lies beside a file is only found from the file.
            var session = file.ExternalFiles.Count > 0 ? OnnxSession.FromFile(environment, path, settings) : OnnxSession.FromBytes(environment, bytes, settings);
            return new ModelSession(actual, session, file, bytes.Length);
        }
        catch (OnnxException error)
        {
            throw Refusal(file, error);
        }
    }

    public void Dispose() => Onnx.Dispose();

    /// <summary>The version of a model that is in a folder and in no registry.</summary>
    /// <exception cref="FailureException">It is no model.</exception>
    internal static string VersionAt(string path, long mostBytes)
    {
        var bytes = Read(path, mostBytes);
        return Version(Convert.ToHexStringLower(SHA256.HashData(bytes)), Parse(bytes, path), path);
    }

    static string Version(string sha256, OnnxModelFile file, string path, IReadOnlyDictionary<string, string>? verified = null) =>
        ModelFile.VersionOf(sha256, file.ExternalFiles.Select(name => (name, verified?.GetValueOrDefault(name) ?? HashOf(Path.Combine(Path.GetDirectoryName(path)!, name)))));

    // Which files there are besides, the model says itself: a version fixes them all.
    static OnnxModelFile Version(byte[] bytes, string path, ref string actual, string expected, IReadOnlyDictionary<string, string>? verified)
    {
        var isSame = string.Equals(actual, expected, StringComparison.OrdinalIgnoreCase);
        OnnxModelFile? file = null;
        try
        {
            file = Parse(bytes, path);
            actual = Version(actual, file, path, verified);
        }
        catch (FailureException) when (!isSame && file is null)
        {
            // What is wrong with another file than the one expected does not matter.
        }
        return file is not null && string.Equals(actual, expected, StringComparison.OrdinalIgnoreCase)
            ? file
            : throw new FailureException("model_changed", $"The model file has sha256 {actual} where {expected} was expected; register the model again.");
    }

    static string HashOf(string path)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, FileOptions.SequentialScan);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }

    internal static byte[] Read(string path, long most)
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

    internal static OnnxModelFile Parse(byte[] bytes, string path)
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
        foreach (var external in file.ExternalFiles)
        {
            if (!ModelFile.IsName(external) || new FileInfo(Path.Combine(Path.GetDirectoryName(path)!, external)).LinkTarget is not null)
                throw new FailureException("model_invalid", $"The model keeps weights in {external}, which is outside its folder; save it as one file.");
            if (!System.IO.File.Exists(Path.Combine(Path.GetDirectoryName(path)!, external)))
                throw new FailureException("model_invalid", $"The model keeps weights in {external}, which is not there. Send it as a further part of the form, under that name, or save the model as one file.");
        }
        return file;
    }

    internal static void CheckOperators(OnnxModelFile file, OnnxException? error = null)
    {
        var foreign = file.Operators.Where(one => !IsBuiltIn(one.Domain)).Select(one => $"{one.Domain}.{one.Name}").Order().ToArray();
        if (foreign.Length > 0)
        {
            throw new FailureException(new Failure("model_unsupported_operator",
                $"The model needs operators that are not part of ONNX Runtime: {string.Join(", ", foreign)}. Export it without custom operators."), inner: error);
        }
    }

    static FailureException Refusal(OnnxModelFile file, OnnxException error)
    {
        CheckOperators(file, error);
        return error.Code == OnnxErrorCode.NotImplemented || error.Message.Contains("is not a registered function/op", StringComparison.Ordinal)
            ? new FailureException(new Failure("model_unsupported_operator",
                $"ONNX Runtime {OnnxLibrary.Version} cannot run an operator of the model: {error.Message}"), inner: error)
            : new FailureException(new Failure("model_invalid", $"ONNX Runtime refuses the model: {error.Message}"), inner: error);
    }

    static bool IsBuiltIn(string domain) =>
        domain is "ai.onnx" or "ai.onnx.ml" or "ai.onnx.training" or "ai.onnx.preview.training"
        || domain.StartsWith("com.microsoft", StringComparison.Ordinal);
}
