using System.Text;
using Artifacts.Blobs;
using Azure.Storage.Blobs;
using Contracts;
using Microsoft.Extensions.Options;
using Support;

namespace Artifacts.Tests.Blobs;

/// <summary>Registered models in a container, on Azurite.</summary>
[Trait("Category", "Server")]
public sealed class ModelsInContainerTests(AzuriteServer azurite) : IClassFixture<AzuriteServer>, IAsyncLifetime
{
    static readonly DateTimeOffset Late = TimeProvider.System.GetUtcNow().AddDays(3);

    readonly TemporaryFolder folder = new();
    readonly List<ArtifactStore> stores = [];
    BlobContainerClient container = null!;
    ArtifactStore store = null!;

    public async Task InitializeAsync()
    {
        container = await azurite.Process.CreateContainerAsync();
        store = Open();
    }

    public Task DisposeAsync()
    {
        foreach (var opened in stores)
            opened.Dispose();
        folder.Dispose();
        return Task.CompletedTask;
    }

    // Each is another process's.
    ArtifactStore Open(string cache = "cache", long bytes = 1 << 20)
    {
        stores.Add(new ArtifactStore(new ArtifactOptions
        {
            Blob = new()
            {
                Accounts = new()
                {
                    ["main"] = new()
                    {
                        ConnectionString = azurite.Process.ConnectionString(),
                        Tenants = new()
                        {
                            ["local"] = new() { Inputs = [$"{container.Name}/in"], Outputs = [$"{container.Name}/out"], Models = [$"{container.Name}/models"] },
                            ["acme"] = new() { Inputs = [$"{container.Name}/acme-in"] },
                        },
                    },
                },
            },
            ModelsRoot = Az("models/prod"),
            CacheFolder = folder[cache],
            CacheBytes = bytes,
        }));
        return stores[^1];
    }

    ArtifactStore Acme => store.For("acme");

    string Az(string name) => $"az://{container.Name}/{name}";

    string Https(string name) => $"{azurite.Process.Endpoint()}/{container.Name}/{name}";

    async Task PutAsync(string name, string content) => await container.GetBlobClient(name).UploadAsync(BinaryData.FromString(content), overwrite: true);

    async Task<string[]> NamesAsync()
    {
        List<string> names = [];
        await foreach (var blob in container.GetBlobsAsync())
            names.Add(blob.Name);
        return [.. names];
    }

    static Task UploadAsync(ArtifactStore own, string uri, string content) =>
        own.UploadModelAsync(new MemoryStream(Encoding.UTF8.GetBytes(content)), uri, Digest(content));

    static FileDigest Digest(string content) => FileDigest.Of(Encoding.UTF8.GetBytes(content));

    static async Task<string> CodeAsync(Func<Task> action) => (await Should.ThrowAsync<FailureException>(action)).Failure.Code;

    [Fact]
    public async Task A_model_is_uploaded_and_kept_under_its_own_name()
    {
        var uploaded = Acme.ModelUri(".incoming", "1", "model.onnx");
        var kept = Acme.ModelUri("ab", "abcd.onnx");
        kept.ShouldBe(Https("models/prod/@acme/ab/abcd.onnx"));

        await UploadAsync(Acme, uploaded, "model");
        await Acme.KeepModelAsync(uploaded, kept, Digest("model"));
        await Acme.DeleteModelsAsync(Acme.ModelUri(".incoming", "1"));

        (await NamesAsync()).ShouldBe(["models/prod/@acme/ab/abcd.onnx"]);
        // Once more, and the upload is gone by now.
        await Acme.KeepModelAsync(uploaded, kept, Digest("model"));
        using var file = await store.FetchAsync(kept, Digest("model").Sha256, ArtifactAccess.Read, "model");
        File.ReadAllText(file.Path).ShouldBe("model");
    }

    [Fact]
    public async Task Two_that_keep_the_same_at_once_both_succeed_and_other_content_never_does()
    {
        var other = Open("other").For("acme");
        var kept = Acme.ModelUri("ab", "abcd.onnx");
        foreach (var (own, number) in new[] { (Acme, "1"), (other, "2") })
            await UploadAsync(own, own.ModelUri(".incoming", number, "m"), "model");

        await Task.WhenAll(
            Acme.KeepModelAsync(Acme.ModelUri(".incoming", "1", "m"), kept, Digest("model")), other.KeepModelAsync(Acme.ModelUri(".incoming", "2", "m"), kept, Digest("model")),
            UploadAsync(Acme, Acme.ModelUri("ab", "abcd.sha256"), "list"), UploadAsync(other, Acme.ModelUri("ab", "abcd.sha256"), "list"));

        await UploadAsync(Acme, Acme.ModelUri(".incoming", "3", "m"), "another");
        (await CodeAsync(() => Acme.KeepModelAsync(Acme.ModelUri(".incoming", "3", "m"), kept, Digest("another")))).ShouldBe("artifact_differs");
        (await CodeAsync(() => UploadAsync(Acme, Acme.ModelUri("ab", "abcd.sha256"), "tsil"))).ShouldBe("artifact_differs");
        (await CodeAsync(() => Acme.KeepModelAsync(Acme.ModelUri(".incoming", "9", "m"), Acme.ModelUri("cd", "m"), Digest("model")))).ShouldBe("artifacts_unavailable");
        (await container.GetBlobClient("models/prod/@acme/ab/abcd.onnx").DownloadContentAsync()).Value.Content.ToString().ShouldBe("model");
    }

    [Fact]
    public async Task What_was_left_by_a_killed_process_is_removed_and_nothing_else()
    {
        await UploadAsync(Acme, Acme.ModelUri(".incoming", "1", "m"), "left");
        await UploadAsync(Acme, Acme.ModelUri("ab", "kept"), "kept");
        await UploadAsync(store.For("local"), store.For("local").ModelUri(".incoming", "1", "m"), "another's");

        await Acme.DeleteModelsAsync(Acme.ModelUri(".incoming"), TimeProvider.System.GetUtcNow().AddDays(-1));
        (await NamesAsync()).Length.ShouldBe(3);
        await Acme.DeleteModelsAsync(Acme.ModelUri(".incoming"), Late);

        (await NamesAsync()).ShouldBe(["models/prod/@acme/ab/kept", "models/prod/@local/.incoming/1/m"]);
        foreach (var name in new[] { "models/prod/@local", "models", "models/prod", "acme-in", "out", "" })
            (await CodeAsync(() => Acme.DeleteModelsAsync(Az(name)))).ShouldBe("path_outside_roots", name);
    }

    [Theory]
    [InlineData("acme", "models/prod/@acme/ab/m.onnx", true)]
    [InlineData("acme", "models/prod/@local/ab/m.onnx", false)]
    [InlineData("acme", "models/prod/ab/m.onnx", false)]
    [InlineData("acme", "models/@acme/m.onnx", false)]
    [InlineData("acme", "models/prod/@acme-2/m.onnx", false)]
    [InlineData("local", "models/prod/@local/ab/m.onnx", true)]
    [InlineData("local", "models/prod/ab/m.onnx", true)]
    [InlineData("local", "models/old/m.onnx", true)]
    [InlineData("local", "models/prod/@acme/ab/m.onnx", false)]
    [InlineData("local", "models/prod/\uFF20acme/ab/m.onnx", false)]
    [InlineData("third", "models/prod/@third/m.onnx", true)]
    [InlineData("third", "models/prod/@acme/m.onnx", false)]
    public async Task A_tenants_models_are_its_own(string tenant, string name, bool isOwn)
    {
        await PutAsync(name, "model");
        var own = store.For(tenant);
        foreach (var uri in new[] { Az(name), Https(name) })
        {
            foreach (var access in new[] { ArtifactAccess.Model, ArtifactAccess.Read })
            {
                if (isOwn)
                    own.Require(uri, access, "model");
                else
                    (await CodeAsync(() => own.FetchAsync(uri, Digest("model").Sha256, access, "model"))).ShouldBe("path_outside_roots");
            }
            // Whosever it is, it is neither input nor output.
            foreach (var access in new[] { ArtifactAccess.Input, ArtifactAccess.Output })
                Should.Throw<FailureException>(() => own.Require(uri, access, "input.uri")).Failure.Code.ShouldBe(tenant == "third" ? "uri_host_not_allowed" : "path_outside_roots");
        }
        using var file = await store.FetchAsync(Az(name), Digest("model").Sha256, ArtifactAccess.Read, "model");
        File.ReadAllText(file.Path).ShouldBe("model");
    }

    [Fact]
    public async Task Files_lie_beside_each_other_under_their_names_and_take_room_while_they_do()
    {
        await PutAsync("models/prod/@acme/a", new string('a', 40));
        await PutAsync("models/prod/@acme/b", new string('b', 40));
        await PutAsync("models/prod/@acme/c", new string('c', 40));
        var small = Open("small", 100).For("acme");
        (string, string, string) File(string name, string letter) => (name, Az($"models/prod/@acme/{letter}"), Digest(new string(letter[0], 40)).Sha256);

        var beside = await small.FetchFolderAsync([File("model.onnx", "a"), File("weights.bin", "b")], ArtifactAccess.Model, "model");
        Directory.GetFiles(beside.Path).Select(f => (Path.GetFileName(f)!, System.IO.File.ReadAllText(f)[0])).Order().ShouldBe([("model.onnx", 'a'), ("weights.bin", 'b')]);
        // Not twice on the disk.
        Directory.GetFiles(folder["small/files"]).Sum(f => new FileInfo(f).Length).ShouldBe(80);
        Posix.TryLink(Path.Join(beside.Path, "model.onnx"), folder["small/link"]).ShouldBeTrue();
        beside.Dispose();
        Directory.Exists(beside.Path).ShouldBeFalse();

        using (await small.FetchFolderAsync([File("x", "c")], ArtifactAccess.Model, "model"))
            Directory.GetFiles(folder["small/files"]).Length.ShouldBe(2);
        (await CodeAsync(() => small.FetchFolderAsync([File("1", "a"), File("2", "b"), File("3", "c")], ArtifactAccess.Model, "model"))).ShouldBe("input_too_large");
        (await CodeAsync(() => small.FetchFolderAsync([("1", Az("models/prod/@acme/a"), Digest("else").Sha256)], ArtifactAccess.Model, "model"))).ShouldBe("artifact_differs");
        Directory.GetDirectories(folder["small/outgoing"]).SelectMany(Directory.GetDirectories).ShouldBeEmpty();
    }

    [Fact]
    public async Task A_blob_is_read_from_any_position_on()
    {
        var content = new byte[5_000_000];
        new Random(7).NextBytes(content);
        await container.GetBlobClient("models/prod/@acme/m").UploadAsync(new BinaryData(content));
        await using var stream = (await Acme.TryOpenReadAsync(Az("models/prod/@acme/m"), ArtifactAccess.Model, "model"))!;
        stream.Length.ShouldBe(content.Length);

        var all = new MemoryStream();
        await stream.CopyToAsync(all);
        all.ToArray().ShouldBe(content);
        foreach (var (from, count) in new[] { (0, 10), (4_999_990, 10), (65_530, 100), (1_000_000, 2_000_000) })
        {
            stream.Seek(from, SeekOrigin.Begin);
            var part = new byte[count];
            await stream.ReadExactlyAsync(part);
            part.ShouldBe(content[from..(from + count)]);
        }
        stream.Seek(0, SeekOrigin.End);
        (await stream.ReadAsync(new byte[1])).ShouldBe(0);

        await PutAsync("models/prod/@acme/m", "another");
        stream.Seek(0, SeekOrigin.Begin);
        (await CodeAsync(async () => await stream.ReadExactlyAsync(new byte[10]))).ShouldBe("input_changed");
        (await Acme.TryOpenReadAsync(Az("models/prod/@acme/nothing"), ArtifactAccess.Model, "model")).ShouldBeNull();
        (await CodeAsync(() => store.For("local").TryOpenReadAsync(Az("models/prod/@acme/m"), ArtifactAccess.Model, "model"))).ShouldBe("path_outside_roots");
    }
}

public sealed class ModelsRootTests
{
    static readonly (string, string)[] Account =
    [
        ("Artifacts:CacheFolder", "/tmp/nothing-is-made-here"),
        ("Artifacts:Blob:Accounts:lake:Endpoint", "https://lake.blob.core.windows.net"),
        ("Artifacts:Blob:Accounts:lake:SasToken", "sig=secret"),
    ];

    static readonly (string, string) Place = ("Artifacts:Blob:Accounts:lake:Tenants:local:Models:0", "models/sagas");

    [Theory]
    [InlineData("az://models/sagas")]
    [InlineData("az://models/sagas/prod/")]
    [InlineData("https://lake.blob.core.windows.net/models/sagas")]
    [InlineData("/a/folder")]
    [InlineData("")]
    public void It_may_be_a_folder_or_a_place_of_the_home_tenant(string root) =>
        ArtifactRegistrationTests.Read([.. Account, Place, ("Artifacts:ModelsRoot", root)]).ModelsRoot.ShouldBe(root);

    [Theory]
    [InlineData("az://models", "models/ is not within what is allowed for this; give models/sagas")]
    [InlineData("az://models/sagas-2", "models/sagas-2 is not within")]
    [InlineData("az://models/sagas/../..", "is not allowed in a path")]
    [InlineData("az://m/sagas", "It names no container")]
    [InlineData("https://other.blob.core.windows.net/models/sagas", "is in a storage account that is not configured: set Artifacts:Blob:Accounts:{name}, for Api and every GpuWorker alike")]
    [InlineData("https://lake.blob.core.windows.net/models/sagas?sig=secret", "It has a query")]
    [InlineData("https://me:secret@lake.blob.core.windows.net/models/sagas", "It has user info")]
    public void What_is_wrong_with_it_stops_the_start_and_is_said(string root, string message) => Refused([.. Account, Place, ("Artifacts:ModelsRoot", root)]).ShouldContain(message);

    [Fact]
    public void Without_an_account_a_default_or_a_place_it_is_said_what_to_set()
    {
        Refused(("Artifacts:ModelsRoot", "az://models/sagas")).ShouldContain("set Artifacts:Blob:Accounts:{name}");
        Refused([.. Account, ("Artifacts:ModelsRoot", "az://models/sagas")]).ShouldContain("set Artifacts:Blob:Accounts:lake:Tenants:local:Models:0");
        Refused([.. Account, Place, ("Tenancy:Home", "owner"), ("Artifacts:ModelsRoot", "az://models/sagas")]).ShouldContain("set Artifacts:Blob:Accounts:lake:Tenants:owner:Models:0");
        Refused([
            .. Account, Place, ("Artifacts:Blob:Accounts:second:Endpoint", "https://second.blob.core.windows.net"), ("Artifacts:Blob:Accounts:second:SasToken", "sig=secret"),
            ("Artifacts:ModelsRoot", "az://models/sagas")]).ShouldContain("set Artifacts:Blob:DefaultAccount");
    }

    static string Refused(params (string, string)[] settings)
    {
        var message = Should.Throw<OptionsValidationException>(() => ArtifactRegistrationTests.Read(settings)).Message;
        message.ShouldContain("Artifacts:ModelsRoot");
        message.ShouldNotContain("secret");
        return message;
    }
}
