using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography;
using Contracts;
using GpuWorker.Tests.Inference;
using Microsoft.EntityFrameworkCore;

namespace Api.Tests;

/// <summary>Registered models in a container: nothing of them stays on the API's machine, and workers need none of its folders.</summary>
[Trait("Category", "Server")]
public sealed class ContainerModelsTests(ContainerModelsHost host) : IClassFixture<ContainerModelsHost>
{
    const string Own = "models/prod/@local";
    const string Lora = """{"inputs":[{"name":"input_x","shape":[4,4],"datatype":"FP32","data":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}]}""";

    static string Sha256(byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    static byte[] Model(string which) => TestModels.Scale(metadata: new() { ["which"] = which });

    static byte[] LoraFile(string file) => File.ReadAllBytes(RealWorkerHost.Clone("tests", "assets", "conformance", "ort_lora_two_params", file));

    string[] HereFiles => [.. Directory.EnumerateFiles(Path.Combine(host.Cache, "incoming"), "*", SearchOption.AllDirectories), .. Directory.EnumerateFiles(host.Models, "*", SearchOption.AllDirectories)
        .Where(file => !file.EndsWith($"{ApiHost.Version}.onnx", StringComparison.Ordinal))];

    async Task<string[]> UnfinishedAsync() => [.. (await host.NamesAsync()).Where(name => name.Contains("/.incoming/", StringComparison.Ordinal))];

    async Task<double[]> ScaledAsync(string name)
    {
        var answer = await host.ScoreAsync($"{name}/score", """{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}]}""");
        answer.StatusCode.ShouldBe(HttpStatusCode.OK, await answer.Content.ReadAsStringAsync());
        return [.. (await answer.JsonAsync()).GetProperty("outputs")[0].GetProperty("data").EnumerateArray().Select(value => value.GetDouble())];
    }

    [Fact]
    public async Task The_samples_are_registered_into_it()
    {
        foreach (var name in new[] { "credit-risk-model", "customer-segmentation-model", "fraud-detection-model" })
        {
            await Support.Eventually.TrueAsync(async () => (await host.Client.GetAsync($"/api/v1/models/{name}")).IsSuccessStatusCode, name);
            var version = Sha256(await File.ReadAllBytesAsync(RealWorkerHost.Clone("samples", "models", name, "model.onnx")));
            (await host.NamesAsync()).ShouldContain($"{Own}/{version[..2]}/{version}.onnx");
        }
        HereFiles.ShouldBeEmpty();
    }

    [Fact]
    public async Task An_upload_is_kept_there_scored_by_a_worker_elsewhere_and_given_back_in_ranges()
    {
        var model = Model("uploaded");
        var version = Sha256(model);
        var created = await host.UploadAsync("uploaded", model);
        created.StatusCode.ShouldBe(HttpStatusCode.Created, await created.Content.ReadAsStringAsync());
        (await host.UploadAsync("uploaded", model)).StatusCode.ShouldBe(HttpStatusCode.OK);

        (await host.NamesAsync()).Where(name => name.Contains(version, StringComparison.Ordinal)).ShouldBe([$"{Own}/{version[..2]}/{version}.onnx"]);
        (await UnfinishedAsync()).ShouldBeEmpty();
        HereFiles.ShouldBeEmpty();
        (await ScaledAsync("uploaded")).ShouldBe([2, 4]);
        File.Exists(Path.Combine(host.WorkerCache, "files", $"{version}.onnx")).ShouldBeTrue();

        const string Download = "/api/v1/models/uploaded/versions/latest/download";
        var whole = await host.Client.GetAsync(Download);
        (await whole.Content.ReadAsByteArrayAsync()).ShouldBe(model);
        whole.Headers.ETag!.Tag.ShouldBe($"\"{version}\"");
        var part = await host.RangeAsync(Download, 10, 19);
        part.StatusCode.ShouldBe(HttpStatusCode.PartialContent);
        (await part.Content.ReadAsByteArrayAsync()).ShouldBe(model[10..20]);
        (await (await host.RangeAsync(Download, null, 5)).Content.ReadAsByteArrayAsync()).ShouldBe(model[^5..]);
        (await host.RangeAsync(Download, model.Length, null)).StatusCode.ShouldBe(HttpStatusCode.RequestedRangeNotSatisfiable);
        await host.Container.GetBlobClient($"{Own}/{version[..2]}/{version}.onnx").UploadAsync(BinaryData.FromString("another"), overwrite: true);
        await (await host.Client.GetAsync(Download)).ProblemAsync(409, "artifact_differs");
        await host.Container.DeleteBlobAsync($"{Own}/{version[..2]}/{version}.onnx");
        await (await host.Client.GetAsync(Download)).ProblemAsync(404, "model_not_found");
    }

    [Fact]
    public async Task Weights_beside_a_model_are_kept_with_their_list_last_and_scored_with()
    {
        var (model, weights) = (TestModels.Scale(external: "factor.bin", metadata: new() { ["which"] = "beside" }), BitConverter.GetBytes(7f));
        var created = await host.UploadAsync("beside", model, ("factor.bin", weights));
        created.StatusCode.ShouldBe(HttpStatusCode.Created, await created.Content.ReadAsStringAsync());
        var version = (await created.JsonAsync()).GetProperty("version").GetString()!;

        var folder = $"{Own}/{version[..2]}/{version}";
        (await host.NamesAsync()).Where(name => name.Contains(version, StringComparison.Ordinal)).ShouldBe([$"{folder}.sha256", $"{folder}/factor.bin", $"{folder}/model.onnx"], ignoreOrder: true);
        (await host.Container.GetBlobClient($"{folder}.sha256").DownloadContentAsync()).Value.Content.ToString()
            .ShouldBe($"{Sha256(model)}  model.onnx\n{Sha256(weights)}  factor.bin\n");
        (await UnfinishedAsync()).ShouldBeEmpty();
        HereFiles.ShouldBeEmpty();
        (await ScaledAsync("beside")).ShouldBe([7, 14]);
        (await host.Client.GetByteArrayAsync("/api/v1/models/beside/versions/latest/download?file=factor.bin")).ShouldBe(weights);
    }

    [Fact]
    public async Task An_adapter_is_kept_there_and_scored_with()
    {
        (await host.UploadAsync("lora", LoraFile("two_params_lora_model.onnx"))).StatusCode.ShouldBe(HttpStatusCode.Created);
        var adapter = LoraFile("two_params_lora_model.onnx_adapter");
        using var form = new MultipartFormDataContent { { new StringContent("ten"), "name" }, { new ByteArrayContent(adapter), "file", "any.onnx_adapter" } };
        var created = await host.Client.PostAsync("/api/v1/models/lora/versions/latest/adapters", form);
        created.StatusCode.ShouldBe(HttpStatusCode.Created, await created.Content.ReadAsStringAsync());

        (await host.NamesAsync()).ShouldContain($"{Own}/{Sha256(adapter)[..2]}/{Sha256(adapter)}.onnx_adapter");
        HereFiles.ShouldBeEmpty();
        foreach (var (path, adapted) in new[] { ("lora/score?adapter=ten", true), ("lora/score", false) })
        {
            var answer = await (await host.ScoreAsync(path, Lora)).JsonAsync();
            (answer.GetProperty("outputs")[0].GetProperty("data")[0].GetDouble() == 154).ShouldBe(adapted, answer.GetRawText());
        }
    }

    [Fact]
    public async Task What_is_refused_leaves_nothing_there()
    {
        var before = await host.NamesAsync();
        await (await host.UploadAsync("refused", "no model"u8.ToArray())).ProblemAsync(422, "model_invalid");
        (await host.UploadAsync("refused", TestModels.Scale(external: "factor.bin", metadata: new() { ["which"] = "refused" }), ("other.bin", new byte[8]))).StatusCode.ShouldBe(HttpStatusCode.UnprocessableEntity);
        (await host.NamesAsync()).ShouldBe(before);
        HereFiles.ShouldBeEmpty();
    }

    [Fact]
    public async Task Two_that_register_the_same_file_at_once_both_have_it()
    {
        var model = Model("twins");
        var answers = await Task.WhenAll(Enumerable.Range(0, 4).Select(i => host.UploadAsync($"twin-{i % 2}", model)));
        answers.ShouldAllBe(answer => answer.StatusCode == HttpStatusCode.Created || answer.StatusCode == HttpStatusCode.OK);
        (await host.WithDbAsync(db => db.Models.Where(m => m.Name.StartsWith("twin-")).Select(m => m.Uri).Distinct().CountAsync())).ShouldBe(1);
        (await UnfinishedAsync()).ShouldBeEmpty();
        (await ScaledAsync("twin-1")).ShouldBe([2, 4]);
    }

    [Fact]
    public async Task A_name_that_holds_something_else_is_no_place_for_a_model()
    {
        var model = Model("taken");
        await host.Container.GetBlobClient($"{Own}/{Sha256(model)[..2]}/{Sha256(model)}.onnx").UploadAsync(BinaryData.FromString("something else"));
        await (await host.UploadAsync("taken", model)).ProblemAsync(409, "artifact_differs");
        (await host.WithDbAsync(db => db.Models.CountAsync(m => m.Name == "taken"))).ShouldBe(0);
        (await UnfinishedAsync()).ShouldBeEmpty();
    }

    [Fact]
    public async Task A_model_is_registered_from_a_container_and_a_folder_and_from_no_other_tenants_place()
    {
        await host.Container.GetBlobClient("in/a.onnx").UploadAsync(new BinaryData(Model("from a container")));
        File.WriteAllBytes(Path.Combine(host.Inputs, "b.onnx"), Model("from a folder"));
        foreach (var (name, uri) in new[] { ("from-container", $"az://{host.Container.Name}/in/a.onnx"), ("from-folder", ApiHost.Uri(host.Inputs, "b.onnx")) })
        {
            (await host.Client.PostAsJsonAsync("/api/v1/models", new { name, uri })).StatusCode.ShouldBe(HttpStatusCode.Created);
            (await ScaledAsync(name)).ShouldBe([2, 4]);
        }
        await host.Container.GetBlobClient("models/prod/@acme/ab/secret.onnx").UploadAsync(new BinaryData(Model("secret")));
        foreach (var uri in new[] { "models/prod/@acme/ab/secret.onnx", $"{Own}/ab/x.onnx", "in/%2e%2e/models/prod/@acme/ab/secret.onnx" })
        {
            (await (await host.Client.PostAsJsonAsync("/api/v1/models", new { name = "stolen", uri = $"az://{host.Container.Name}/{uri}" })).ProblemAsync(422, "path_outside_roots"))
                .Keys.ShouldBe(["uri"]);
        }
    }

    [Fact]
    public async Task While_the_container_is_away_callers_are_told_to_come_back_and_what_is_cached_goes_on()
    {
        (await host.UploadAsync("cached", Model("cached"))).StatusCode.ShouldBe(HttpStatusCode.Created);
        (await host.UploadAsync("not-cached", Model("not cached"))).StatusCode.ShouldBe(HttpStatusCode.Created);
        (await ScaledAsync("cached")).ShouldBe([2, 4]);
        host.Relay.Cut();
        try
        {
            foreach (var answer in await Task.WhenAll(
                host.ScoreAsync("not-cached/score", """{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}]}"""),
                host.Client.GetAsync("/api/v1/models/cached/versions/latest/download"), host.UploadAsync("away", Model("away"))))
            {
                await answer.ProblemAsync(503, FailureCodes.ArtifactsUnavailable);
                answer.Headers.RetryAfter.ShouldNotBeNull();
            }
            (await ScaledAsync("cached")).ShouldBe([2, 4]);
        }
        finally
        {
            host.Relay.Open();
        }
        HereFiles.ShouldBeEmpty();

        (await ScaledAsync("not-cached")).ShouldBe([2, 4]);
        (await host.UploadAsync("away", Model("away"))).StatusCode.ShouldBe(HttpStatusCode.Created);
    }

    [Fact]
    public async Task What_a_killed_api_left_is_taken_for_no_model()
    {
        // As kill -9 between the files and the list leaves it: they are there, and whoever registers it again is not stopped by them.
        var (model, weights) = (TestModels.Scale(external: "factor.bin", metadata: new() { ["which"] = "half" }), BitConverter.GetBytes(3f));
        var version = ModelFile.VersionOf(Sha256(model), [("factor.bin", Sha256(weights))]);
        var options = new Azure.Storage.Blobs.Models.BlobUploadOptions { Metadata = new Dictionary<string, string> { ["sha256"] = Sha256(weights) } };
        await host.Container.GetBlobClient($"{Own}/{version[..2]}/{version}/factor.bin").UploadAsync(new BinaryData(weights), options);
        await host.Container.GetBlobClient($"{Own}/.incoming/killed/model.onnx").UploadAsync(new BinaryData(model));
        (await host.WithDbAsync(db => db.Models.CountAsync(m => m.Version == version))).ShouldBe(0);

        (await host.UploadAsync("half", model, ("factor.bin", weights))).StatusCode.ShouldBe(HttpStatusCode.Created);

        (await ScaledAsync("half")).ShouldBe([3, 6]);
        // Not yet abandoned: it may be somebody's who is still at it.
        (await UnfinishedAsync()).ShouldBe([$"{Own}/.incoming/killed/model.onnx"]);
        await host.Container.DeleteBlobAsync($"{Own}/.incoming/killed/model.onnx");
    }
}
