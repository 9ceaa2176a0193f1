using System.Net;
using System.Net.Sockets;
using Artifacts.Blobs;
using Artifacts.Tabular;
using Azure.Storage.Blobs;
using Azure.Storage.Blobs.Models;
using Contracts;
using Contracts.BatchInference;
using Interop.DuckDb;
using Support;

namespace Artifacts.Tests.Blobs;

/// <summary>On Azurite, which is Azure's own emulator.</summary>
[Trait("Category", "Server")]
public sealed class BlobStoreTests(AzuriteServer azurite) : IClassFixture<AzuriteServer>, IAsyncLifetime
{
    static readonly string[] Parquet = [".parquet"];

    readonly TemporaryFolder folder = new();
    BlobContainerClient container = null!;
    ArtifactStore store = null!;

    public async Task InitializeAsync()
    {
        container = await azurite.Process.CreateContainerAsync();
        store = new ArtifactStore(Options());
    }

    public Task DisposeAsync()
    {
        store.Dispose();
        folder.Dispose();
        return Task.CompletedTask;
    }

    ArtifactOptions Options(Action<BlobAccountOptions>? change = null, long cache = 1 << 20)
    {
        var account = new BlobAccountOptions
        {
            ConnectionString = azurite.Process.ConnectionString(),
            Tenants = new()
            {
                ["local"] = new() { Inputs = [$"{container.Name}/in"], Outputs = [$"{container.Name}/out"] },
                ["acme"] = new() { Inputs = [$"{container.Name}/acme-in"], Outputs = [$"{container.Name}/acme-out"], Models = [$"{container.Name}/acme-models"] },
            },
        };
        change?.Invoke(account);
        return new ArtifactOptions { Blob = new() { Accounts = new() { ["main"] = account } }, CacheFolder = folder["cache"], CacheBytes = cache };
    }

    ArtifactStore Home => store.For("local");

    string Az(string name) => $"az://{container.Name}/{name}";

    string Https(string name) => $"{azurite.Process.Endpoint()}/{container.Name}/{name}";

    async Task PutAsync(string name, string content) => await container.GetBlobClient(name).UploadAsync(BinaryData.FromString(content), overwrite: true);

    async Task PutParquetAsync(string name, string select, string options = "")
    {
        folder.WriteParquet("made.parquet", select, options);
        await container.GetBlobClient(name).UploadAsync(folder["made.parquet"], overwrite: true);
    }

    async Task<string[]> NamesAsync(string prefix = "")
    {
        List<string> names = [];
        await foreach (var blob in container.GetBlobsAsync(BlobTraits.None, BlobStates.None, prefix, default))
            names.Add(blob.Name);
        return [.. names];
    }

    static async Task<string> CodeAsync(Func<Task> action) => (await Should.ThrowAsync<FailureException>(action)).Failure.Code;

    [Theory]
    [InlineData("in/a.parquet", "a.parquet")]
    [InlineData("in", "a.parquet|b c.parquet|deep/d.parquet")]
    [InlineData("in/", "a.parquet|b c.parquet|deep/d.parquet")]
    [InlineData("in/*.parquet", "a.parquet|b c.parquet")]
    [InlineData("in/[ab]*.parquet", "a.parquet|b c.parquet")]
    [InlineData("in/*/d.parquet", "deep/d.parquet")]
    [InlineData("in/b%20c.parquet", "b c.parquet")]
    public async Task Blobs_folders_and_globs_are_listed_by_either_name(string name, string sources)
    {
        foreach (var blob in new[] { "in/a.parquet", "in/b c.parquet", "in/deep/d.parquet", "in/_hidden.parquet", "in/_temporary/e.parquet", "in/notes.txt", "inner/x.parquet" })
            await PutAsync(blob, blob);

        foreach (var uri in new[] { Az(name), Https(name) })
        {
            var files = await Home.ListAsync(uri, Parquet);
            files.Select(f => f.Source).ShouldBe(sources.Split('|'));
            foreach (var file in files)
            {
                var properties = (await container.GetBlobClient(file.Uri[(azurite.Process.Endpoint().Length + container.Name.Length + 2)..].Replace("%20", " ")).GetPropertiesAsync()).Value;
                (file.Length, file.ETag, file.ModifiedTicks).ShouldBe((properties.ContentLength, properties.ETag.ToString().Trim('"'), properties.LastModified.UtcTicks));
            }
        }
    }

    [Theory]
    [InlineData("in/none.parquet", "input_missing")]
    [InlineData("in/none", "input_missing")]
    [InlineData("in/x*.parquet", "input_missing")]
    [InlineData("in/empty.parquet", "input_empty")]
    [InlineData("in/notes", "input_empty")]
    [InlineData("in/large.parquet", "input_too_large")]
    [InlineData("in/%2e%2e/acme-in/a.parquet", "path_outside_roots")]
    [InlineData("in/../acme-in/a.parquet", "path_outside_roots")]
    [InlineData("acme-in/a.parquet", "path_outside_roots")]
    [InlineData("acme-in", "path_outside_roots")]
    [InlineData("in*/a.parquet", "path_outside_roots")]
    [InlineData("", "path_outside_roots")]
    [InlineData("inner/x.parquet", "path_outside_roots")]
    [InlineData("out/x.parquet", "path_outside_roots")]
    [InlineData("in/a%zz.parquet", "uri_invalid")]
    [InlineData("in/a.parquet?sv=1&sig=x", "uri_query_not_allowed")]
    public async Task What_cannot_be_read_says_why(string name, string code)
    {
        foreach (var blob in new[] { "acme-in/a.parquet", "inner/x.parquet", "out/x.parquet", "in/notes/a.txt" })
            await PutAsync(blob, blob);
        await PutAsync("in/empty.parquet", "");
        await container.GetBlobClient("in/large.parquet").UploadAsync(new BinaryData(new byte[(1 << 20) + 1]));

        foreach (var uri in new[] { Az(name), Https(name) })
            (await CodeAsync(async () => await Home.ListAsync(uri, Parquet))).ShouldBe(code);
    }

    [Fact]
    public async Task A_blob_is_read_as_it_was_pinned_or_not_at_all()
    {
        await PutAsync("in/a.parquet", new string('a', 100));
        var file = (await Home.ListAsync(Az("in/a.parquet"), Parquet))[0];
        using (var copy = await Home.FetchAsync(file))
            File.ReadAllText(copy.Path).ShouldBe(new string('a', 100));
        await PutAsync("in/b.parquet", new string('b', 100));
        var other = (await Home.ListAsync(Https("in/b.parquet"), Parquet))[0];
        await PutAsync("in/b.parquet", new string('c', 100));

        var failure = (await Should.ThrowAsync<FailureException>(() => Home.FetchAsync(other))).Failure;
        failure.Code.ShouldBe(FailureCodes.InputChanged);
        failure.Message.ShouldContain("b.parquet");
        await container.DeleteBlobAsync("in/b.parquet");
        (await CodeAsync(() => Home.FetchAsync(other))).ShouldBe(FailureCodes.InputChanged);
        // What was fetched is what was pinned, whatever became of it.
        await container.DeleteBlobAsync("in/a.parquet");
        using (var copy = await Home.FetchAsync(file))
            File.ReadAllText(copy.Path).ShouldBe(new string('a', 100));
        (await CodeAsync(() => store.For("acme").FetchAsync(file))).ShouldBe("path_outside_roots");
    }

    [Fact]
    public async Task Many_ranges_make_the_same_file()
    {
        var content = new byte[(20 << 20) + 17];
        new Random(1).NextBytes(content);
        await container.GetBlobClient("in/large.bin").UploadAsync(new BinaryData(content));
        using var wide = new ArtifactStore(Options(cache: 1 << 30));

        using var copy = await wide.FetchAsync((await wide.For("local").ListAsync(Az("in/large.bin"), Parquet))[0]);

        (await ArtifactStore.DigestAsync(copy.Path)).ShouldBe(FileDigest.Of(content));
    }

    [Fact]
    public async Task A_table_is_described_by_its_footer_alone()
    {
        await PutParquetAsync("in/t.parquet", "SELECT range AS id, range::VARCHAR AS text FROM range(200000)", ", ROW_GROUP_SIZE 40960");
        using var wide = new ArtifactStore(Options(cache: 1 << 30));

        var table = await TabularInput.OpenAsync(new InputSpec(Az("in/t.parquet"), "parquet"), wide.For("local"));

        table.Columns.ShouldBe([new("id", "BIGINT"), new("text", "VARCHAR")]);
        table.Opened[0].RowGroups.ShouldBe([40960, 40960, 40960, 40960, 36160]);
        Directory.GetFiles(folder["cache/files"]).ShouldBeEmpty();
        Directory.GetFiles(folder["cache/outgoing"], "*.tmp", SearchOption.AllDirectories).ShouldBeEmpty();
    }

    [Theory]
    [InlineData("not a table at all")]
    [InlineData("PAR1")]
    [InlineData("PAR1\u00ff\u00ff\u00ff\u007fPAR1")]
    public async Task A_table_that_is_none_says_so(string content)
    {
        await container.GetBlobClient("in/t.parquet").UploadAsync(new BinaryData(System.Text.Encoding.Latin1.GetBytes(content)));
        (await CodeAsync(() => TabularInput.OpenAsync(new InputSpec(Az("in/t.parquet"), "parquet"), Home))).ShouldBe("input_malformed");
    }

    [Fact]
    public async Task Text_is_described_too()
    {
        await PutAsync("in/t.csv", "id,amount\n1,2.5\n2,3.5\n");
        (await TabularInput.OpenAsync(new InputSpec(Az("in/t.csv"), "csv"), Home)).Columns.ShouldBe([new("id", "BIGINT"), new("amount", "DOUBLE")]);
    }

    [Theory]
    [InlineData(".csv", false)]
    [InlineData(".csv.gz", true)]
    public async Task Of_a_long_text_only_the_beginning_is_fetched(string suffix, bool packed)
    {
        // Quoted line breaks all over, so that a cut at any line break would cut a record; letters that do not compress.
        var random = new Random(1);
        var text = new System.Text.StringBuilder("id,note\n");
        for (var i = 0; text.Length < 16 << 20; i++)
            text.Append(i).Append(",\"a\nb\n").Append(random.NextInt64()).Append('\n').Append(random.NextInt64()).Append("\"\n");
        using var content = new MemoryStream();
        using (Stream into = packed ? new System.IO.Compression.GZipStream(content, System.IO.Compression.CompressionLevel.Fastest, leaveOpen: true) : content)
            into.Write(System.Text.Encoding.UTF8.GetBytes(text.ToString()));
        await container.GetBlobClient("in/t" + suffix).UploadAsync(new BinaryData(content.ToArray()));
        using var wide = new ArtifactStore(Options(cache: 1 << 30));

        (await TabularInput.OpenAsync(new InputSpec(Az("in/t" + suffix), "csv"), wide.For("local"))).Columns.ShouldBe([new("id", "BIGINT"), new("note", "VARCHAR")]);

        Directory.GetFiles(folder["cache/files"]).ShouldBeEmpty();
    }

    [Fact]
    public async Task What_is_written_is_there_wholly_and_never_replaced()
    {
        var digest = await Home.WriteAsync(Az("out/job/_manifest.json"), "{}"u8.ToArray());
        (await container.GetBlobClient("out/job/_manifest.json").DownloadContentAsync()).Value.Content.ToString().ShouldBe("{}");
        (await Home.HoldsAsync(Https("out/job/_manifest.json"), digest, ArtifactAccess.Output)).ShouldBeTrue();
        (await Home.ExistsAsync(Az("out/job/_manifest.json"))).ShouldBeTrue();
        (await Home.ExistsAsync(Az("out/job/other"))).ShouldBeFalse();
        (await Home.ReadAsync(Az("out/job/_manifest.json"), ArtifactAccess.Output)).ShouldBe("{}"u8.ToArray());

        (await Home.WriteAsync(Az("out/job/_manifest.json"), "{}"u8.ToArray())).ShouldBe(digest);
        (await CodeAsync(() => Home.WriteAsync(Az("out/job/_manifest.json"), "[]"u8.ToArray()))).ShouldBe("file_exists");
        (await container.GetBlobClient("out/job/_manifest.json").DownloadContentAsync()).Value.Content.ToString().ShouldBe("{}");
        (await CodeAsync(() => Home.WriteAsync(Az("in/x"), "x"u8.ToArray()))).ShouldBe("path_outside_roots");
        (await CodeAsync(() => Home.WriteAsync(Az("acme-out/x"), "x"u8.ToArray()))).ShouldBe("path_outside_roots");
    }

    [Theory]
    [InlineData(100)]
    [InlineData(20 << 20)]
    public async Task A_winner_is_made_visible_once_however_often_and_by_however_many(int length)
    {
        var content = new byte[length];
        new Random(1).NextBytes(content);
        using var part = Home.Create(Az("out/job/_work/part-0.x.parquet"));
        File.WriteAllBytes(part.TemporaryPath, content);
        var digest = await part.SealAsync(CancellationToken.None);
        digest.ShouldBe(FileDigest.Of(content));
        // An answer that was lost: the same again.
        (await part.SealAsync(CancellationToken.None)).ShouldBe(digest);
        var target = Az("out/job/part-0.parquet");

        var moves = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Home.MoveAsync(Az("out/job/_work/part-0.x.parquet"), target, digest)));

        moves.ShouldAllBe(moved => moved);
        (await Home.HoldsAsync(target, digest, ArtifactAccess.Output)).ShouldBeTrue();
        (await container.GetBlobClient("out/job/part-0.parquet").DownloadContentAsync()).Value.Content.ToArray().SequenceEqual(content).ShouldBeTrue();
        await Home.DeleteFolderAsync(Az("out/job/_work"));
        (await Home.MoveAsync(Az("out/job/_work/part-0.x.parquet"), target, digest)).ShouldBeTrue();
        (await NamesAsync()).ShouldBe(["out/job/part-0.parquet"]);
        (await Home.MoveAsync(Az("out/job/_work/none"), Az("out/job/part-1.parquet"), digest)).ShouldBeFalse();
        (await NamesAsync()).ShouldBe(["out/job/part-0.parquet"]);
    }

    [Fact]
    public async Task What_another_wrote_there_is_not_taken_for_the_winner()
    {
        var digest = await Home.WriteAsync(Az("out/job/_work/p"), "good"u8.ToArray());
        await PutAsync("out/job/p", "evil");
        (await Home.MoveAsync(Az("out/job/_work/p"), Az("out/job/p"), digest)).ShouldBeFalse();
        (await container.GetBlobClient("out/job/p").DownloadContentAsync()).Value.Content.ToString().ShouldBe("evil");
        (await CodeAsync(() => Home.MoveAsync(Az("out/job/_work/p"), Az("acme-out/p"), digest))).ShouldBe("path_outside_roots");
        (await CodeAsync(() => store.For("acme").MoveAsync(Az("out/job/_work/p"), Az("acme-out/p"), digest))).ShouldBe("path_outside_roots");
    }

    [Fact]
    public async Task Only_a_jobs_own_folder_can_be_deleted()
    {
        foreach (var name in new[] { "out/job/_work/a", "out/job/_work/deep/b", "out/job/_worker", "out/job/part", "acme-out/x" })
            await PutAsync(name, name);
        foreach (var name in new[] { "out", "out/", "" })
            (await CodeAsync(() => Home.DeleteFolderAsync(Az(name)))).ShouldBe("path_outside_roots");
        (await CodeAsync(() => Home.DeleteFolderAsync(Az("acme-out/x")))).ShouldBe("path_outside_roots");

        await Home.DeleteFolderAsync(Az("out/job/_work"));
        await Home.DeleteFolderAsync(Az("out/job/_work"));

        (await NamesAsync()).ShouldBe(["acme-out/x", "out/job/_worker", "out/job/part"]);
    }

    [Fact]
    public async Task A_file_is_had_by_its_content()
    {
        await PutAsync("acme-models/m.onnx", "model");
        var sha256 = FileDigest.Of("model"u8).Sha256;
        var acme = store.For("acme");
        using (var file = await acme.FetchAsync(Az("acme-models/m.onnx"), sha256, ArtifactAccess.Model, "model"))
        {
            File.ReadAllText(file.Path).ShouldBe("model");
            Path.GetFileName(file.Path).ShouldBe($"{sha256}.onnx");
        }
        (await CodeAsync(() => acme.FetchAsync(Az("acme-models/m.onnx"), new string('0', 64), ArtifactAccess.Model, "model"))).ShouldBe("artifact_differs");

        await container.DeleteBlobAsync("acme-models/m.onnx");
        using (var file = await acme.FetchAsync(Az("acme-models/m.onnx"), sha256, ArtifactAccess.Model, "model"))
            File.ReadAllText(file.Path).ShouldBe("model");
        (await CodeAsync(() => Home.FetchAsync(Az("acme-models/m.onnx"), sha256, ArtifactAccess.Model, "model"))).ShouldBe("path_outside_roots");
    }

    [Fact]
    public async Task A_shared_access_signature_does_all_that_a_key_does()
    {
        var token = azurite.Process.SasToken(container.Name, TimeProvider.System.GetUtcNow());
        using var signed = new ArtifactStore(Options(account => (account.ConnectionString, account.Endpoint, account.SasToken) = ("", azurite.Process.Endpoint(), token)));
        var own = signed.For("local");
        await PutAsync("in/a.parquet", "content");

        var files = await own.ListAsync(Az("in"), Parquet);
        files.ShouldHaveSingleItem().Uri.ShouldBe(Https("in/a.parquet"));
        using (var copy = await own.FetchAsync(files[0]))
            File.ReadAllText(copy.Path).ShouldBe("content");
        var digest = await own.WriteAsync(Az("out/_work/p"), "good"u8.ToArray());
        (await own.MoveAsync(Az("out/_work/p"), Az("out/p"), digest)).ShouldBeTrue();
        await own.DeleteFolderAsync(Az("out/_work"));
        (await NamesAsync("out")).ShouldBe(["out/p"]);
    }

    [Fact]
    public async Task What_the_service_refuses_is_said_without_what_it_was_asked_with()
    {
        var token = azurite.Process.SasToken(container.Name, TimeProvider.System.GetUtcNow().AddHours(-2));
        using var expired = new ArtifactStore(Options(account => (account.ConnectionString, account.Endpoint, account.SasToken) = ("", azurite.Process.Endpoint(), token)));

        var failure = await Should.ThrowAsync<FailureException>(async () => await expired.For("local").ListAsync(Az("in/a.parquet"), Parquet));

        failure.Failure.Code.ShouldBe("blob_forbidden");
        var signature = token.Split('&').Single(p => p.StartsWith("sig=", StringComparison.Ordinal))[4..];
        failure.ToString().ShouldNotContain(signature);
        failure.ToString().ShouldNotContain(Uri.UnescapeDataString(signature));
    }

    [Fact]
    public async Task Another_account_another_host_and_a_tenant_without_a_place_get_no_request()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var port = ((IPEndPoint)listener.LocalEndpoint).Port;
        var elsewhere = $"http://127.0.0.1:{port}/{AzuriteProcess.Account}/{container.Name}/in/a.parquet";
        // The account is configured, and answers there, but nothing in it is bob's.
        using var here = new ArtifactStore(Options(account => account.ConnectionString = account.ConnectionString.Replace(new Uri(azurite.Process.Endpoint()).Authority, $"127.0.0.1:{port}")));

        foreach (var uri in new[] { elsewhere, $"{azurite.Process.Endpoint(AzuriteProcess.OtherAccount)}/{container.Name}/in/a.parquet" })
        {
            (await CodeAsync(async () => await Home.ListAsync(uri, Parquet))).ShouldBe("uri_host_not_allowed");
            (await CodeAsync(() => Home.FetchAsync(new PinnedFile(uri, "", "a.parquet", 1, 0, "0x1")))).ShouldBe("uri_host_not_allowed");
            (await CodeAsync(() => Home.WriteAsync(uri, "x"u8.ToArray()))).ShouldBe("uri_host_not_allowed");
        }
        (await CodeAsync(async () => await here.For("bob").ListAsync(elsewhere, Parquet))).ShouldBe("uri_host_not_allowed");
        (await CodeAsync(async () => await here.For("acme").ListAsync(elsewhere, Parquet))).ShouldBe("path_outside_roots");
        (await CodeAsync(() => here.For("acme").FetchAsync(new PinnedFile(elsewhere, "", "a.parquet", 1, 0, "0x1")))).ShouldBe("path_outside_roots");

        listener.Pending().ShouldBeFalse();
    }

    [Theory]
    [InlineData("Artifacts:Blob:Accounts:a:ConnectionString", "", "exactly one of")]
    [InlineData("Artifacts:Blob:Accounts:a:SasToken", "x", "exactly one of")]
    [InlineData("Artifacts:Blob:Accounts:a:ConnectionString", "nonsense", "cannot be read")]
    [InlineData("Artifacts:Blob:Accounts:a:Endpoint", "https://a.blob.core.windows.net", "Endpoint is for")]
    [InlineData("Artifacts:Blob:Accounts:a:Tenants:A_B:Inputs:0", "data", "names no tenant")]
    [InlineData("Artifacts:Blob:Accounts:a:Tenants:acme:Inputs:0", "Data", "is no container")]
    [InlineData("Artifacts:Blob:Accounts:a:Tenants:acme:Inputs:0", "data/../x", "is no container")]
    [InlineData("Artifacts:Blob:Accounts:a:Tenants:acme:Inputs:0", "results/job", "lies within")]
    [InlineData("Artifacts:Blob:Accounts:a:Tenants:acme:Outputs:0", "data", "lies within")]
    [InlineData("Artifacts:Blob:DefaultAccount", "b", "no such account")]
    [InlineData("Artifacts:Blob:Accounts:b:Endpoint", "http://example.com", "exactly one of")]
    [InlineData("Artifacts:CacheFolder", "", "Artifacts:CacheFolder is missing")]
    [InlineData("Artifacts:CacheBytes", "0", "Artifacts:CacheBytes")]
    [InlineData("Artifacts:Http:Hosts:0:Name", "https://x", "is no host")]
    public void What_is_configured_wrongly_stops_the_start(string key, string value, string message)
    {
        Dictionary<string, string> settings = new()
        {
            ["Artifacts:Blob:Accounts:a:ConnectionString"] = azurite.Process.ConnectionString(),
            ["Artifacts:Blob:Accounts:a:Tenants:local:Inputs:0"] = "data",
            ["Artifacts:Blob:Accounts:a:Tenants:local:Outputs:0"] = "results",
            ["Artifacts:Blob:Accounts:a:Tenants:bob:Inputs:0"] = "data",
            ["Artifacts:CacheFolder"] = folder["cache"],
        };
        ArtifactRegistrationTests.Read([.. settings.Select(s => (s.Key, s.Value))]).Blob.Accounts.ShouldHaveSingleItem();
        settings[key] = value;
        var wrong = Should.Throw<Microsoft.Extensions.Options.OptionsValidationException>(() => ArtifactRegistrationTests.Read([.. settings.Select(s => (s.Key, s.Value))]));
        wrong.Message.ShouldContain(message);
        wrong.Message.ShouldNotContain("AccountKey");
    }

    [Theory]
    [InlineData("http://example.com", "x", "", "Endpoint is")]
    [InlineData("https://a.example?sig=x", "x", "", "Endpoint is")]
    [InlineData("https://me:pw@a.example", "x", "", "Endpoint is")]
    [InlineData("http://127.0.0.1:1/a", "", "default", "Endpoint is")]
    [InlineData("https://a.example", "x", "", null)]
    [InlineData("http://127.0.0.1:1/a", "x", "", null)]
    [InlineData("https://a.example", "", "default", null)]
    public void An_endpoint_is_encrypted_unless_it_is_this_machine(string endpoint, string sas, string identity, string? fault)
    {
        var faults = BlobPlaces.Faults(new BlobOptions { Accounts = new() { ["a"] = new() { Endpoint = endpoint, SasToken = sas, Identity = identity } } }).ToList();
        if (fault is null)
            faults.ShouldBeEmpty();
        else
            faults.ShouldHaveSingleItem().ShouldContain(fault);
    }
}
