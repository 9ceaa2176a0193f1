using System.Security.Cryptography;
using Artifacts;
using Contracts;
using GpuWorker.Inference;
using GpuWorker.Inference.Inspection;
using Interop.OnnxRuntime;
using Microsoft.Extensions.Options;
using ServiceDefaults;
using Support;

namespace GpuWorker.Tests.Inference;

/// <summary>ONNX Runtime and a models folder, for all tests of inference.</summary>
public sealed class InferenceFixture : IDisposable
{
    public InferenceFixture()
    {
        Settings.InspectFolder = Tried.Path;
        OnnxLibrary.Load(NativeParts.OnnxRuntime());
        Environment = new OnnxEnvironment(OnnxLogSeverity.Error, _ => { }, ArenaBytes);
        Artifacts = new ArtifactStore(new ArtifactOptions { InputRoots = [FindConformance()], ModelsRoot = Models.Path });
        Inspector = new ModelInspector(Artifacts, Options.Create(Settings), TimeProvider.System);
    }

    /// <summary>Memory of the sessions that ask for the arena.</summary>
    public const long ArenaBytes = 64 << 20;

    public TestFolder Models { get; } = new();

    /// <summary>Where models are while they are tried.</summary>
    public TestFolder Tried { get; } = new();

    public OnnxEnvironment Environment { get; }

    public ArtifactStore Artifacts { get; }

    public InferenceOptions Settings { get; } = new() { MaxWarmModels = 2, DryRunSeconds = 4 };

    public ModelInspector Inspector { get; }

    /// <summary>A model of tests/assets/conformance.</summary>
    public ModelRef Conformance(string name) => Add(File.ReadAllBytes(Path.Combine(FindConformance(), name, "model.onnx")), name);

    public ModelRef Add(byte[] bytes, string name = "model")
    {
        var path = Models[$"{Guid.CreateVersion7():N}.onnx"];
        File.WriteAllBytes(path, bytes);
        return new ModelRef(name, Convert.ToHexStringLower(SHA256.HashData(bytes)), new Uri(path).AbsoluteUri);
    }

    /// <summary>In this process, as the child does it.</summary>
    public ModelInspected Inspect(ModelRef model) => new ModelTrial(Environment, Settings, TimeProvider.System).Inspect(new Uri(model.Uri).LocalPath, model.Sha256, model.Files);

    /// <summary>In a process of its own.</summary>
    public Task<ModelInspected> InspectApartAsync(ModelRef model) => Inspector.InspectAsync(new InspectModel(model.Uri, model.Sha256, model.Files));

    public ModelSession Open(ModelRef model) =>
        ModelSession.Open(Environment, new Uri(model.Uri).LocalPath, model.Sha256, Settings);

    public void Dispose()
    {
        Inspector.Dispose();
        Environment.Dispose();
        Models.Dispose();
        Tried.Dispose();
    }

    public static string FindConformance()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var path = Path.Combine(folder.FullName, "tests", "assets", "conformance");
            if (Directory.Exists(path))
                return path;
        }
        throw new DirectoryNotFoundException("There is no tests/assets/conformance above the tests.");
    }
}

[CollectionDefinition("Inference")]
public sealed class InferenceTests : ICollectionFixture<InferenceFixture>;
