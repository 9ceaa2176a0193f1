using System.Buffers;
using System.Runtime.InteropServices;
using System.Text.Json;
using Artifacts;
using Contracts;
using GpuWorker.Inference;
using GpuWorker.OnlineScoring;
using GpuWorker.Tests.BatchInference;
using GpuWorker.Tests.OnlineScoring;
using Interop.OnnxRuntime;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace GpuWorker.Tests.Inference;

/// <summary>A worker whose models are in a container.</summary>
[Collection("Inference")]
[Trait("Category", "Server")]
public sealed class ContainerModelsTests(InferenceFixture inference, ContainerFixture container) : IClassFixture<ContainerFixture>, IDisposable
{
    readonly List<IDisposable> opened = [];

    public void Dispose()
    {
        opened.Reverse();
        opened.ForEach(one => one.Dispose());
    }

    // Each is another process's.
    (ArtifactStore Store, ModelCache Models) Worker(string? cache = null)
    {
        var options = new ArtifactOptions();
        container.Configure(options, cache ?? $"{Guid.CreateVersion7():n}");
        var store = new ArtifactStore(options);
        var models = new ModelCache(inference.Environment, store, Options.Create(inference.Settings), NullLogger<ModelCache>.Instance);
        opened.AddRange([store, models]);
        return (store, models);
    }

    static float[] Run(ModelLease lease, params float[] values)
    {
        using var x = OnnxValue.Create<float>(values, [1, values.Length]);
        using var y = lease.Session.Onnx.Run([new OnnxInput("x", x)])[0];
        return y.Span<float>().ToArray();
    }

    static byte[] Weights(int count, float value) => MemoryMarshal.AsBytes(Enumerable.Repeat(value, count).ToArray().AsSpan()).ToArray();

    static async Task<FailureException> FailureAsync(Func<Task> action) => await Should.ThrowAsync<FailureException>(action);

    [Fact]
    public async Task A_model_is_fetched_once_and_opens_again_when_nobody_can_be_asked()
    {
        var model = await container.AddAsync(TestModels.Scale());
        var (store, models) = Worker("kept");
        var leases = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => models.LeaseAsync(model))));
        leases.Select(lease => lease.Session).Distinct().Count().ShouldBe(1);
        Run(leases[0], 1, 2).ShouldBe([2, 4]);
        foreach (var lease in leases)
            lease.Dispose();
        Directory.GetFiles(Path.Combine(container.Folder("kept"), "files")).Select(Path.GetFileName).ShouldBe([$"{model.Sha256}.onnx"]);
        models.Dispose();
        store.Dispose();

        var before = container.Relay.Connections;
        container.Relay.Cut();
        try
        {
            using var again = await Worker("kept").Models.LeaseAsync(model);
            Run(again, 3, 4).ShouldBe([6, 8]);
        }
        finally
        {
            container.Relay.Open();
        }
        container.Relay.Connections.ShouldBe(before);
    }

    [Fact]
    public async Task A_container_that_is_away_is_no_fault_of_the_model_and_is_asked_again()
    {
        var model = await container.AddAsync(TestModels.Scale(metadata: new() { ["is"] = "away" }));
        var (_, models) = Worker();
        container.Relay.Cut();
        try
        {
            var failures = await Task.WhenAll(Enumerable.Range(0, 2).Select(_ => FailureAsync(() => models.LeaseAsync(model))));
            failures.ShouldAllBe(failure => failure.IsTransient && failure.Failure.Code == FailureCodes.ArtifactsUnavailable);
            var asked = await FailureAsync(() => Inspector(Worker().Store).InspectAsync(new InspectModel(model.Uri, model.Sha256)));
            asked.Failure.Code.ShouldBe(FailureCodes.ArtifactsUnavailable);
        }
        finally
        {
            container.Relay.Open();
        }

        using var lease = await models.LeaseAsync(model);
        Run(lease, 1, 2).ShouldBe([2, 4]);
    }

    [Fact]
    public async Task Another_files_content_is_refused_and_never_kept()
    {
        var model = await container.AddAsync(TestModels.Scale(metadata: new() { ["is"] = "changed" }));
        await container.Blob(model.Uri).UploadAsync(new BinaryData(TestModels.Scale(metadata: new() { ["is"] = "another" })), overwrite: true);
        var (store, models) = Worker("changed");

        (await FailureAsync(() => models.LeaseAsync(model))).Failure.Code.ShouldBe("model_changed");
        (await FailureAsync(() => Inspector(store).InspectAsync(new InspectModel(model.Uri, model.Sha256)))).Failure.Code.ShouldBe("model_changed");
        await container.Blob(model.Uri).UploadAsync(new BinaryData(Array.Empty<byte>()), overwrite: true);
        (await FailureAsync(() => models.LeaseAsync(model))).Failure.Code.ShouldBe("model_changed");
        (await FailureAsync(() => models.LeaseAsync(model with { Sha256 = "../../x" }))).Failure.Code.ShouldBe("model_changed");
        await container.Blob(model.Uri).DeleteAsync();
        (await FailureAsync(() => models.LeaseAsync(model))).Failure.Code.ShouldBe("model_missing");
        (await FailureAsync(() => models.LeaseAsync(model with { Uri = $"az://{container.Container.Name}/elsewhere/m.onnx" }))).Failure.Code.ShouldBe("path_outside_roots");
        Directory.GetFiles(Path.Combine(container.Folder("changed"), "files")).ShouldBeEmpty();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Weights_beside_a_model_are_found_by_its_list_or_by_who_asks_and_are_needed_only_while_it_opens(bool isSaid)
    {
        const int Count = 1 << 20;
        var model = await container.AddAsync(TestModels.Scale(external: "weights of it.bin", factors: Count), ("weights of it.bin", Weights(Count, isSaid ? 3 : 5)));
        var cache = $"beside-{isSaid}";
        using var lease = await Worker(cache).Models.LeaseAsync(isSaid ? model : model with { Files = null });
        lease.Session.Sha256.ShouldBe(model.Sha256);

        // What is mapped of them by now stays, whatever becomes of the files.
        Directory.GetDirectories(Path.Combine(container.Folder(cache), "outgoing")).SelectMany(Directory.GetDirectories).ShouldBeEmpty();
        Directory.Delete(Path.Combine(container.Folder(cache), "files"), recursive: true);
        Directory.CreateDirectory(Path.Combine(container.Folder(cache), "files"));
        var x = new float[Count];
        (x[0], x[^1]) = (1, 2);
        var y = Run(lease, x);
        (y[0], y[^1]).ShouldBe(isSaid ? (3, 6) : (5, 10));
    }

    [Fact]
    public async Task A_list_that_is_not_the_versions_or_a_weight_that_is_not_the_lists_is_refused()
    {
        var model = await container.AddAsync(TestModels.Scale(external: "factor.bin"), ("factor.bin", BitConverter.GetBytes(7f)));
        var weights = container.Blob(ArtifactStore.ModelFileUri(model.Uri, "factor.bin"));
        await weights.UploadAsync(new BinaryData(BitConverter.GetBytes(8f)), overwrite: true);
        (await FailureAsync(() => Worker().Models.LeaseAsync(model))).Failure.Code.ShouldBe("model_changed");
        (await FailureAsync(() => Worker().Models.LeaseAsync(model with { Files = null }))).Failure.Code.ShouldBe("model_changed");
        (await FailureAsync(() => Inspector(Worker().Store).InspectAsync(new InspectModel(model.Uri, model.Sha256, model.Files)))).Failure.Code.ShouldBe("model_changed");
        await weights.UploadAsync(new BinaryData(BitConverter.GetBytes(7f)), overwrite: true);

        var list = container.Blob(model.Uri.Replace($"/{ModelFile.Model}", ".sha256", StringComparison.Ordinal));
        await list.UploadAsync(BinaryData.FromString($"{model.Files![0].Sha256}  {ModelFile.Model}\n"), overwrite: true);
        (await FailureAsync(() => Worker().Models.LeaseAsync(model with { Files = null }))).Failure.Code.ShouldBe("model_changed");
        // Who says other files than the version's gets no model of them.
        (await FailureAsync(() => Worker().Models.LeaseAsync(model with { Files = [model.Files[0], model.Files[1] with { Sha256 = model.Files[0].Sha256 }] }))).Failure.Code.ShouldBe("model_changed");
    }

    [Fact]
    public async Task A_worker_that_was_not_told_of_the_account_says_so_and_a_name_that_leads_elsewhere_is_none()
    {
        var model = await container.AddAsync(TestModels.Scale(external: "factor.bin", metadata: new() { ["is"] = "named" }), ("factor.bin", BitConverter.GetBytes(7f)));
        using var untold = new ModelCache(inference.Environment, inference.Artifacts, Options.Create(inference.Settings), NullLogger<ModelCache>.Instance);
        foreach (var uri in new[] { model.Uri, container.Blob(model.Uri).Uri.AbsoluteUri })
            (await FailureAsync(() => untold.LeaseAsync(model with { Uri = uri }))).Failure.Code.ShouldBe("models_disabled");

        foreach (var name in new[] { "../factor.bin", "/tmp/factor.bin", ".hidden", ModelFile.Model, "a\nb" })
            (await FailureAsync(() => Worker().Models.LeaseAsync(model with { Files = [model.Files![0], model.Files[1] with { Name = name }] }))).Failure.Code.ShouldBe("model_invalid", name);
    }

    [Fact]
    public async Task An_inspection_looks_at_copies_of_its_own()
    {
        var (store, _) = Worker("inspected");
        var model = await container.AddAsync(TestModels.Scale(external: "factor.bin", metadata: new() { ["is"] = "tried" }), ("factor.bin", BitConverter.GetBytes(7f)));
        var lora = Path.Combine(InferenceFixture.FindConformance(), "ort_lora_two_params");
        var basis = await container.AddAsync(await File.ReadAllBytesAsync(Path.Combine(lora, "two_params_lora_model.onnx")));
        var adapter = await container.AddAdapterAsync(await File.ReadAllBytesAsync(Path.Combine(lora, "two_params_lora_model.onnx_adapter")));

        (await Inspector(store).InspectAsync(new InspectModel(model.Uri, model.Sha256, model.Files))).RowsPerSecond.ShouldBeGreaterThan(0);
        (await Inspector(store).InspectAsync(new InspectAdapter(adapter.Uri, adapter.Sha256!, basis))).Sha256.ShouldBe(adapter.Sha256);

        Directory.GetFiles(Path.Combine(container.Folder("inspected"), "files")).Length.ShouldBe(4);
        Directory.GetFileSystemEntries(inference.Tried.Path).ShouldBeEmpty();
        (await FailureAsync(() => Inspector(store).InspectAsync(new InspectAdapter(adapter.Uri, model.Sha256, basis)))).Failure.Code.ShouldBe("model_changed");
    }

    [Fact]
    public async Task An_adapter_is_had_by_its_content()
    {
        var lora = Path.Combine(InferenceFixture.FindConformance(), "ort_lora_two_params");
        var model = await container.AddAsync(await File.ReadAllBytesAsync(Path.Combine(lora, "two_params_lora_model.onnx")));
        var adapter = await container.AddAdapterAsync(await File.ReadAllBytesAsync(Path.Combine(lora, "two_params_lora_model.onnx_adapter")));
        var (store, models) = Worker("adapters");
        var scorer = new OnlineScorer(models, inference.Environment, store, Options.Create(new OnlineScoringOptions()));

        foreach (var (number, weights) in new[] { (154, adapter), (74, null), (154, adapter) })
            (await FirstAsync(weights) == 154).ShouldBe(number == 154);
        (await FailureAsync(() => FirstAsync(adapter with { Sha256 = null }))).Failure.Code.ShouldBe("field_missing");
        (await FailureAsync(() => FirstAsync(adapter with { Sha256 = model.Sha256[..63] + "0" }))).Failure.Code.ShouldBe("model_changed");
        // Of a worker's own machine too.
        var here = inference.Models[$"{Guid.CreateVersion7():n}.onnx_adapter"];
        File.Copy(Path.Combine(lora, "two_params_lora_model.onnx_adapter"), here);
        var local = new OnlineBench(inference);
        opened.Add(local);
        var basis = inference.Add(await File.ReadAllBytesAsync(Path.Combine(lora, "two_params_lora_model.onnx")));
        (await FailureAsync(() => local.Scorer.ScoreAsync(basis, new AdapterRef(FileUri.FromPath(here), model.Sha256), Body(), new ArrayBufferWriter<byte>(), default)))
            .Failure.Code.ShouldBe("model_changed");

        static byte[] Body() => """{"inputs":[{"name":"input_x","shape":[4,4],"datatype":"FP32","data":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}]}"""u8.ToArray();

        async Task<double> FirstAsync(AdapterRef? weights)
        {
            var answer = new ArrayBufferWriter<byte>();
            await scorer.ScoreAsync(model, weights, Body(), answer, default);
            return JsonDocument.Parse(answer.WrittenMemory).RootElement.GetProperty("outputs")[0].GetProperty("data")[0].GetDouble();
        }
    }

    [Fact]
    public async Task A_shard_is_scored_with_it_once_the_container_is_there()
    {
        using var bench = new Workbench(change: options => container.Configure(options, "batch"));
        var local = bench.Shard(Workbench.Sample("transactions.parquet"), "fraud-detection-model", ["transaction_id"]);
        var model = await container.AddAsync(await File.ReadAllBytesAsync(Workbench.Root("samples/models/fraud-detection-model/model.onnx")));
        var shard = local with { Model = local.Model with { Uri = model.Uri } };
        container.Relay.Cut();
        try
        {
            var failure = await FailureAsync(() => bench.ScoreAsync(shard));
            (failure.IsTransient, failure.Failure.Code).ShouldBe((true, FailureCodes.ArtifactsUnavailable));
        }
        finally
        {
            container.Relay.Open();
        }

        (await bench.ScoreAsync(shard)).Part!.Rows.ShouldBe(shard.Range.Rows);
    }

    ModelInspector Inspector(ArtifactStore store)
    {
        var inspector = new ModelInspector(store, Options.Create(inference.Settings), TimeProvider.System);
        opened.Add(inspector);
        return inspector;
    }
}
