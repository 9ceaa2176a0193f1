using System.Diagnostics;
using System.Security.Cryptography;
using Artifacts;
using Artifacts.Tabular;
using Contracts;
using Contracts.BatchInference;
using GpuWorker;
using GpuWorker.BatchInference;
using GpuWorker.Inference;
using GpuWorker.Inference.Inspection;
using Interop.DuckDb;
using Interop.OnnxRuntime;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using ServiceDefaults;
using Support;
using Train.Onnx;

namespace Benchmarks;

/// <summary>A worker's shard beside a bare <c>COPY</c> of the same file with as many threads, in turn; and a small CNN beside bare runs.</summary>
static class WorkerBenchmark
{
    const int LinearFeatures = 30;
    static readonly TimeSpan Measured = TimeSpan.FromSeconds(2);

    internal static async Task RunAsync(BenchmarkOptions options)
    {
        OnnxLibrary.Load(NativeParts.OnnxRuntime());
        DuckDbLibrary.Load(NativeParts.DuckDb());
        Directory.CreateDirectory(options.Folder);
        using var folder = new TestFolder(options.Folder);
        using var environment = new OnnxEnvironment();
        var samples = Path.Combine(BatchBenchmark.FindSamples(), "models");
        await File.WriteAllBytesAsync(folder["linear.onnx"], Linear());
        (string Name, string File)[] models = [("linear", folder["linear.onnx"]), ("MLP", Path.Combine(samples, Platform.Model, "model.onnx")), ("trees", Path.Combine(samples, "credit-risk-model", "model.onnx"))];
        var rows = options.Rows[0];

        Console.WriteLine($"{rows:N0} distinct rows, {Environment.ProcessorCount} threads, a warm-up and {options.Runs} runs of each, in turn");
        Console.WriteLine();
        Console.WriteLine("| model | bare rows/s | worker rows/s | worker / bare | ONNX Runtime without I/O, one thread, rows/s |");
        Console.WriteLine("|---|---|---|---|---|");
        foreach (var (name, file) in models)
            await CompareAsync(name, file, rows, options.Runs, folder, environment);
        Console.WriteLine();
        CompareCnn(options.Runs, environment);
    }

    static async Task CompareAsync(string name, string file, long rows, int runs, TestFolder folder, OnnxEnvironment environment)
    {
        var sha256 = Convert.ToHexStringLower(SHA256.HashData(await File.ReadAllBytesAsync(file)));
        var inspected = new ModelTrial(environment, new InferenceOptions(), TimeProvider.System).Inspect(file, sha256);
        var features = inspected.Signature.Features!;
        var input = Generate(folder[$"{name}.parquet"], features, rows);
        var worker = Options.Create(new GpuWorkerOptions { Slots = 1, ThreadsPerSlot = Environment.ProcessorCount, DuckDbMemoryMegabytes = 1024, UnitSeconds = 55 });
        Directory.CreateDirectory(folder["out"]);
        var store = new ArtifactStore(new ArtifactOptions { InputRoots = [folder.Path], OutputRoots = [folder["out"]], ModelsRoot = Path.GetDirectoryName(file)! });
        using var models = new ModelCache(environment, store, Options.Create(new InferenceOptions()), NullLogger<ModelCache>.Instance);
        var units = new RunningUnits(worker, TimeProvider.System);
        using var databases = new ScoringDatabases(worker);
        var scorer = new ShardScorer(store, models, environment, new WorkerIdentity(worker), databases, TimeProvider.System);
        var shard = Shard(store, input, new ModelRef(name, sha256, FileUri.FromPath(file)), inspected.Signature, FileUri.FromPath(folder["out"]) + "/job/_work");
        using var session = OnnxSession.FromFile(environment, file, new OnnxSessionOptions { IntraOpThreads = 1, InterOpThreads = 1 });
        using var bare = new BareCopy(session, inspected.Signature, features);

        var (bares, workers) = (new List<double>(), new List<double>());
        for (var run = 0; run <= runs; run++)
        {
            var clock = Stopwatch.StartNew();
            if (bare.Run(input, folder["bare.parquet"], Environment.ProcessorCount) != rows)
                throw new InvalidOperationException("The bare program lost rows.");
            var bareSeconds = clock.Elapsed.TotalSeconds;
            clock.Restart();
            using (var unit = units.Start(shard.JobId, 1, run, 1)!)
            {
                var scored = await scorer.ScoreAsync(shard with { Shard = run }, unit);
                if (scored.Part?.Rows != rows)
                    throw new InvalidOperationException("The worker lost rows.");
                File.Delete(new Uri(scored.Part.Uri).LocalPath);
            }
            var workerSeconds = clock.Elapsed.TotalSeconds;
            Console.Error.WriteLine($"{name}, {(run == 0 ? "warm-up" : $"run {run}")}: bare {rows / bareSeconds:N0}/s, worker {rows / workerSeconds:N0}/s");
            if (run == 0)
                continue;
            bares.Add(rows / bareSeconds);
            workers.Add(rows / workerSeconds);
        }
        File.Delete(input);
        File.Delete(folder["bare.parquet"]);
        var (b, w) = (Machine.Median(bares), Machine.Median(workers));
        Console.WriteLine($"| {name} | {b:N0} | {w:N0} | {w / b:P0} | {inspected.RowsPerSecond:N0} |");
    }

    // Images, which no table has: the same run by the worker's scorer and by a call prepared by hand.
    static unsafe void CompareCnn(int runs, OnnxEnvironment environment)
    {
        var file = Path.Combine(BatchBenchmark.FindSamples(), "..", "tests", "assets", "conformance", "mnist_cntk_3sets", "model.onnx");
        var sha256 = Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(file)));
        var signature = new ModelTrial(environment, new InferenceOptions(), TimeProvider.System).Inspect(file, sha256).Signature;
        using var model = ModelSession.Open(environment, Path.GetFullPath(file), sha256, new InferenceOptions());
        using var scorer = new RowScorer(environment, model, signature, [model.Onnx.Inputs[0].Name], 1);
        var width = scorer.Inputs[0].Features;
        var (pixels, output) = (Enumerable.Range(0, width).Select(i => i % 7 / 7f).ToArray(), new float[signature.Columns.Count]);
        using var call = new OnnxCall(model.Onnx, [model.Onnx.Inputs[0].Name], [model.Onnx.Outputs[0].Name]);
        var (bares, workers) = (new List<double>(), new List<double>());
        fixed (float* input = pixels, result = output)
        {
            call.SetInput(0, input, width * sizeof(float), OnnxElementType.Float, [1, 1, 28, 28]);
            call.SetOutput(0, result, output.Length * sizeof(float), OnnxElementType.Float, [1, output.Length]);
            var columns = new void*[width];
            for (var i = 0; i < width; i++)
                columns[i] = input + i;
            for (var run = 0; run <= runs; run++)
            {
                var bare = Rate(() => call.Run());
                var through = Rate(() =>
                {
                    scorer.Begin(1);
                    fixed (void** pointers = columns)
                        scorer.Pack(0, pointers);
                    scorer.Run();
                    for (var i = 0; i < output.Length; i++)
                    {
                        float value;
                        scorer.CopyColumn(i, &value);
                    }
                });
                if (run == 0)
                    continue;
                bares.Add(bare);
                workers.Add(through);
            }
        }
        Console.WriteLine("| small CNN, one image a run | bare runs/s | worker's scorer runs/s | scorer / bare |");
        Console.WriteLine("|---|---|---|---|");
        Console.WriteLine($"| mnist_cntk_3sets | {Machine.Median(bares):N0} | {Machine.Median(workers):N0} | {Machine.Median(workers) / Machine.Median(bares):P0} |");
        Console.WriteLine();
    }

    static double Rate(Action run)
    {
        var (count, clock) = (0L, Stopwatch.StartNew());
        for (; clock.Elapsed < Measured; count++)
            run();
        return count / clock.Elapsed.TotalSeconds;
    }

    static string Generate(string path, IReadOnlyList<string> features, long rows)
    {
        using var database = DuckDbDatabase.Open(new DuckDbSettings { Threads = Environment.ProcessorCount, MemoryLimit = "2GB" });
        using var connection = database.Connect();
        var columns = string.Join(", ", features.Select(feature => $"(random() * 4 - 2)::FLOAT AS {DuckDbSql.Identifier(feature)}"));
        connection.Execute($"COPY (SELECT range AS id, {columns} FROM range({rows})) TO {DuckDbSql.Literal(path)} (FORMAT parquet)");
        return path;
    }

    static ScoreShard Shard(ArtifactStore store, string input, ModelRef model, ModelSignature signature, string workUri)
    {
        var table = TabularInput.Describe([store.Pin(FileUri.FromPath(input), ArtifactAccess.Read)], TabularFormat.Parquet)[0];
        var columns = FeatureMap.Resolve(signature, table.Columns, false, null, ["id"]);
        var range = new RowRange(FileUri.FromPath(input), table.File.Source, 0, table.Rows, table.File.Length, table.File.ModifiedTicks);
        return new ScoreShard(Guid.CreateVersion7(), 1, 0, 1, "local", range, false, model, signature, columns.Mapping, ["id"], columns.KeyTypes, "parquet", workUri);
    }

    static byte[] Linear()
    {
        var random = new Random(5);
        var graph = new OnnxGraph("linear");
        graph.Input("features", LinearFeatures);
        graph.Constant("weights", Enumerable.Range(0, LinearFeatures).Select(_ => (float)random.NextDouble() - 0.5f).ToArray(), LinearFeatures, 1);
        graph.Add("MatMul", "sum", ["features", "weights"]);
        graph.Add("Sigmoid", "score", ["sum"]);
        graph.Output("score", ElementType.Float, 1);
        graph.Metadata("features", [.. Enumerable.Range(0, LinearFeatures).Select(i => $"f{i}")]);
        return graph.ToBytes();
    }
}
