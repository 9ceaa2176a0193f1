using System.Collections.Concurrent;

namespace Interop.OnnxRuntime.Tests;

/// <summary>The library from node_modules, loaded once for the whole test process.</summary>
public sealed class OnnxRuntimeFixture : IDisposable
{
    public OnnxRuntimeFixture()
    {
        OnnxLibrary.Load(LibraryPath);
        Environment = new OnnxEnvironment(OnnxLogSeverity.Warning, Log.Enqueue);
    }

    public static string LibraryPath { get; } = Find("node_modules/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime.so.1");

    public ConcurrentQueue<OnnxLogMessage> Log { get; } = new();

    public OnnxEnvironment Environment { get; }

    /// <summary>A file or folder of the repository, looked for upwards from the tests.</summary>
    public static string Find(string relativePath)
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var path = Path.Combine(folder.FullName, relativePath);
            if (Path.Exists(path))
                return path;
        }
        throw new FileNotFoundException($"There is no {relativePath} above {AppContext.BaseDirectory}; install the npm packages first.");
    }

    public OnnxSession Open(string conformanceModel, OnnxSessionOptions? options = null) =>
        OnnxSession.FromFile(
            Environment, Path.Combine(Find("tests/assets/conformance"), conformanceModel, "model.onnx"),
            options ?? new OnnxSessionOptions { IntraOpThreads = 1 });

    public void Dispose() => Environment.Dispose();
}

[CollectionDefinition("ONNX Runtime")]
public sealed class OnnxRuntimeTests : ICollectionFixture<OnnxRuntimeFixture>;
