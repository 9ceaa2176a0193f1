using System.Runtime.InteropServices;

namespace Interop.OnnxRuntime;

/// <summary>
/// The native library. It is loaded once for the process, from a path the host chooses, and tested before anything else uses it.
/// </summary>
public static unsafe class OnnxLibrary
{
    // The youngest function used is TensorTypeAndShape_HasShape of version 24; asking for more would refuse libraries that serve.
    const uint ApiVersion = 24;

    static readonly Lock Gate = new();

    /// <summary>The file the functions come from; null before <see cref="Load(string)"/>.</summary>
    public static string? Path { get; private set; }

    /// <summary>For example <c>1.30.0</c>; empty before <see cref="Load(string)"/>.</summary>
    public static string Version { get; private set; } = "";

    /// <summary>Execution providers compiled into the library. Being listed does not mean that one can run here.</summary>
    public static IReadOnlyList<string> AvailableProviders
    {
        get
        {
            RequireLoaded();
            byte** names;
            int count;
            NativeMethods.Check(NativeMethods.GetAvailableProviders(&names, &count));
            var result = new string[count];
            for (var i = 0; i < count; i++)
                result[i] = NativeMethods.Text(names[i]);
            NativeMethods.Check(NativeMethods.ReleaseAvailableProviders(names, count));
            return result;
        }
    }

    /// <summary>Loads and tests the library. Repeating it with the same file does nothing; another file is refused.</summary>
    /// <exception cref="OnnxLibraryException">The file cannot serve; the message says why.</exception>
    public static void Load(string path)
    {
        path = System.IO.Path.GetFullPath(path);
        lock (Gate)
        {
            if (Path is not null)
            {
                if (Path != path)
                    throw new OnnxLibraryException(path, $"ONNX Runtime is already loaded from {Path}; a process has one.");
                return;
            }
            var api = Open(path, ApiVersion, out var version);
            NativeMethods.Bind(api);
            EnglishLocale.Ensure();
            SelfTest(path, version);
            (Path, Version) = (path, version);
        }
    }

    internal static void RequireLoaded()
    {
        if (!NativeMethods.IsBound)
            throw new InvalidOperationException("ONNX Runtime is not loaded; call OnnxLibrary.Load with the path of libonnxruntime first.");
    }

    internal static nint Open(string path, uint apiVersion, out string version)
    {
        if (!File.Exists(path))
            throw new OnnxLibraryException(path, $"ONNX Runtime is absent: there is no file {path}. It comes with the npm package onnxruntime-node.");
        nint library;
        try
        {
            library = NativeLibrary.Load(path);
        }
        catch (Exception error) when (error is DllNotFoundException or BadImageFormatException)
        {
            throw new OnnxLibraryException(path, $"{path} cannot be loaded as a library on this machine: {error.Message}", error);
        }
        if (!NativeLibrary.TryGetExport(library, "OrtGetApiBase", out var getBase))
        {
            NativeLibrary.Free(library);
            throw new OnnxLibraryException(path, $"{path} is a library, but not ONNX Runtime: it has no function OrtGetApiBase.");
        }
        // OrtApiBase is { GetApi, GetVersionString }.
        var functions = ((delegate* unmanaged<nint*>)getBase)();
        version = NativeMethods.Text(((delegate* unmanaged<byte*>)functions[1])());
        var api = ((delegate* unmanaged<uint, nint>)functions[0])(apiVersion);
        return api != 0
            ? api
            : throw new OnnxLibraryException(path, $"{path} is ONNX Runtime {version}, which is too old: 1.{apiVersion} or younger is needed.");
    }

    static void SelfTest(string path, string version)
    {
        try
        {
            StatusRoundTrip();
            GoldenModel();
        }
        catch (Exception error) when (error is OnnxException or InvalidDataException)
        {
            throw new OnnxLibraryException(path, $"{path} (ONNX Runtime {version}) fails its self test: {error.Message}", error);
        }
    }

    static void StatusRoundTrip()
    {
        const string text = "self test, π";
        fixed (byte* message = NativeMethods.Utf8(text))
        {
            try
            {
                NativeMethods.Check(NativeMethods.CreateStatus((int)OnnxErrorCode.NotImplemented, message));
            }
            catch (OnnxException error) when (error.Code == OnnxErrorCode.NotImplemented && error.Message == text)
            {
                return;
            }
        }
        throw new InvalidDataException("a status does not come back as it was made.");
    }

    static void GoldenModel()
    {
        using var environment = new OnnxEnvironment(OnnxLogSeverity.Error);
        using var session = OnnxSession.FromBytes(environment, GoldenModelFile.Bytes, new OnnxSessionOptions { IntraOpThreads = 1 });
        using var x = OnnxValue.Create<float>(GoldenModelFile.Input, [2, 3]);
        var outputs = session.Run([new OnnxInput("x", x)]);
        using var y = outputs[0];
        var actual = y.Span<float>();
        if (actual.Length != GoldenModelFile.Output.Length)
            throw new InvalidDataException("the golden model gives another shape.");
        for (var i = 0; i < actual.Length; i++)
        {
            if (!(Math.Abs(actual[i] - GoldenModelFile.Output[i]) <= 1e-6f))
                throw new InvalidDataException($"the golden model gives {actual[i]} where {GoldenModelFile.Output[i]} is right.");
        }
    }
}
