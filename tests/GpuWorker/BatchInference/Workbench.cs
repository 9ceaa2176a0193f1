using Artifacts;
using Artifacts.Tabular;
using Contracts;
using Contracts.BatchInference;
using GpuWorker.BatchInference;
using GpuWorker.Inference;
using GpuWorker.Inference.Inspection;
using Interop.DuckDb;
using Interop.OnnxRuntime;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using ServiceDefaults;
using Support;

namespace GpuWorker.Tests.BatchInference;

/// <summary>A worker's parts without a bus: real libraries, real models, files in a folder of its own.</summary>
sealed class Workbench : IDisposable
{
    static readonly Lazy<OnnxEnvironment> Environment = new(() =>
    {
        OnnxLibrary.Load(NativeParts.OnnxRuntime());
        return new OnnxEnvironment();
    });

    static readonly Guid Job = Guid.CreateVersion7();

    readonly TestFolder folder = new();
    readonly ModelCache models;
    readonly ModelTrial trial;
    readonly DuckDbDatabase database;
    readonly ScoringDatabases databases;
    readonly DuckDbConnection connection;
    readonly WorkerIdentity identity;
    readonly IOptions<GpuWorkerOptions> options;

    /// <param name="change">Of where files and blobs are.</param>
    public Workbench(GpuWorkerOptions? worker = null, Action<ArtifactOptions>? change = null)
    {
        DuckDbLibrary.Load(NativeParts.DuckDb());
        foreach (var name in new[] { "in", "out" })
            Directory.CreateDirectory(folder[name]);
        var places = new ArtifactOptions { InputRoots = [folder["in"], Root("samples")], OutputRoots = [folder["out"]], ModelsRoot = Root("") };
        change?.Invoke(places);
        Store = new ArtifactStore(places);
        options = Options.Create(worker ?? new GpuWorkerOptions { Slots = 1, ThreadsPerSlot = 2 });
        identity = new WorkerIdentity(options);
        models = new ModelCache(Environment.Value, Store, Options.Create(new InferenceOptions()), NullLogger<ModelCache>.Instance);
        trial = new ModelTrial(Environment.Value, new InferenceOptions(), TimeProvider.System);
        Units = new RunningUnits(options, TimeProvider.System);
        databases = new ScoringDatabases(options);
        Scorer = new ShardScorer(Store, models, Environment.Value, identity, databases, TimeProvider.System);
        Converter = new FileConverter(Store, identity, options, TimeProvider.System);
        database = DuckDbDatabase.Open(new DuckDbSettings { Threads = 2, MemoryLimit = "1GB" });
        connection = database.Connect();
    }

    public ArtifactStore Store { get; }

    public RunningUnits Units { get; }

    public ShardScorer Scorer { get; }

    public FileConverter Converter { get; }

    public string WorkUri => FileUri.FromPath(folder["out"]) + "/job/_work";

    public string this[string name] => folder[name];

    public string[] WorkFiles => Directory.Exists(folder["out/job/_work"]) ? [.. Directory.GetFiles(folder["out/job/_work"]).Select(f => Path.GetFileName(f)!)] : [];

    public static string Root(string name)
    {
        var root = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(root.FullName, "Sagas.sln")))
            root = root.Parent!;
        return Path.Combine(root.FullName, name);
    }

    public static string Sample(string table) => FileUri.FromPath(Root($"samples/data/{table}"));

    public (ModelRef Model, ModelSignature Signature) Model(string name)
    {
        var path = Root(Directory.Exists(Root($"samples/models/{name}")) ? $"samples/models/{name}/model.onnx" : $"tests/assets/conformance/{name}/model.onnx");
        var sha256 = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(path)));
        var uri = FileUri.FromPath(path);
        return (new ModelRef(name, sha256, uri), trial.Inspect(path, sha256).Signature);
    }

    public string Parquet(string name, string select, string options = "")
    {
        connection.Execute($"COPY ({select}) TO {DuckDbSql.Literal(folder[$"in/{name}"])} (FORMAT parquet{options})");
        return FileUri.FromPath(folder[$"in/{name}"]);
    }

    public string Write(string name, string content)
    {
        File.WriteAllText(folder[$"in/{name}"], content);
        return FileUri.FromPath(folder[$"in/{name}"]);
    }

    /// <summary>A shard of all rows of the file.</summary>
    public ScoreShard Shard(
        string inputUri, string model, string[]? keys = null, string[]? features = null, Func<ModelSignature, ModelSignature>? change = null)
    {
        var (reference, signature) = Model(model);
        signature = change?.Invoke(signature) ?? signature;
        var input = TabularInput.Describe([Store.Pin(inputUri, ArtifactAccess.Read)], TabularFormat.Parquet)[0];
        var columns = FeatureMap.Resolve(signature, input.Columns, false, features, keys ?? []);
        var range = new RowRange(inputUri, input.File.Source, 0, input.Rows, input.File.Length, input.File.ModifiedTicks);
        return new ScoreShard(Job, 1, 7, 1, "local", range, false, reference, signature, columns.Mapping, keys ?? [], columns.KeyTypes, "parquet", WorkUri);
    }

    /// <summary>Converts a text file as a worker does, and makes a shard of the result as planning does.</summary>
    public async Task<ScoreShard> ConvertedShardAsync(
        string inputUri, string format, string model, string[]? keys = null, string[]? features = null, Func<ModelSignature, ModelSignature>? change = null)
    {
        var (reference, signature) = Model(model);
        signature = change?.Invoke(signature) ?? signature;
        var input = TabularInput.Describe([Store.Pin(inputUri, ArtifactAccess.Read)], format)[0];
        var columns = FeatureMap.Resolve(signature, input.Columns, true, features, keys ?? []);
        string[] needed = [.. (keys ?? []).Concat(columns.Mapping.Inputs.SelectMany(i => i.Columns)).Distinct()];
        var converted = await ConvertAsync(inputUri, format, needed);
        var range = new RowRange(converted.Uri, input.File.Source, 0, converted.Rows, converted.Bytes, 0);
        return new ScoreShard(Job, 1, 7, 1, "local", range, true, reference, signature, columns.Mapping, keys ?? [], columns.KeyTypes, "parquet", WorkUri);
    }

    public async Task<FileConverted> ConvertAsync(string inputUri, string format, params string[] columns)
    {
        var file = Store.Pin(inputUri, ArtifactAccess.Read);
        using var unit = Units.Start(Job, 1, 3, 1)!;
        return await Converter.ConvertAsync(
            new ConvertFile(Job, 1, 3, 1, "local", new RowRange(file.Uri, file.Source, 0, 0, file.Length, file.ModifiedTicks), format, columns, WorkUri), unit);
    }

    public async Task<ShardScored> ScoreAsync(ScoreShard shard)
    {
        using var unit = Units.Start(shard.JobId, shard.Epoch, shard.Shard, shard.Attempt)!;
        return await Scorer.ScoreAsync(shard, unit);
    }

    public string PathOf(string uri) => Store.LocalPath(uri, ArtifactAccess.Read);

    public string Table(string uri) => $"read_parquet({DuckDbSql.PathLiteral(PathOf(uri))})";

    public IReadOnlyList<object?[]> Query(string sql)
    {
        using var result = connection.Query(sql);
        return result.Rows();
    }

    public IReadOnlyList<string> Columns(string uri) => [.. Query($"DESCRIBE SELECT * FROM {Table(uri)}").Select(r => $"{r[0]} {r[1]}")];

    public void Dispose()
    {
        connection.Dispose();
        database.Dispose();
        databases.Dispose();
        models.Dispose();
        folder.Dispose();
    }
}
