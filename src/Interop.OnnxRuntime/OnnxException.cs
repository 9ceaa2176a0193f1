namespace Interop.OnnxRuntime;

/// <summary>A call into ONNX Runtime failed. The message is the library's own.</summary>
public sealed class OnnxException(OnnxErrorCode code, string message) : Exception(message)
{
    public OnnxErrorCode Code { get; } = code;

    /// <summary>Whether memory, of the machine or of a device, did not do. The library has no code for it.</summary>
    public bool IsOutOfMemory { get; } =
        message.Contains("Available memory of", StringComparison.Ordinal) || message.Contains("Failed to allocate memory", StringComparison.Ordinal)
        || message.Contains("bad_alloc", StringComparison.Ordinal) || message.Contains("out of memory", StringComparison.OrdinalIgnoreCase)
        || message.Contains("OUT_OF_MEMORY", StringComparison.Ordinal) || message.Contains("OutOfMemory", StringComparison.Ordinal);
}

/// <summary>The library itself cannot be used: absent, not a library, not ONNX Runtime, too old, or it fails its self test.</summary>
public sealed class OnnxLibraryException(string path, string message, Exception? inner = null) : Exception(message, inner)
{
    public string Path { get; } = path;
}

/// <summary>OrtErrorCode.</summary>
public enum OnnxErrorCode
{
    Ok = 0,
    Fail = 1,
    InvalidArgument = 2,
    NoSuchFile = 3,
    NoModel = 4,
    EngineError = 5,
    RuntimeException = 6,
    InvalidProtobuf = 7,
    ModelLoaded = 8,
    NotImplemented = 9,
    InvalidGraph = 10,
    ExecutionProviderFailed = 11,
    ModelLoadCanceled = 12,
    ModelRequiresCompilation = 13,
    NotFound = 14,
}
