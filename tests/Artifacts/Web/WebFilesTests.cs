using System.Collections.Concurrent;
using System.IO.Compression;
using System.Net;
using System.Net.Sockets;
using Artifacts.Blobs;
using Artifacts.Web;
using Contracts;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Artifacts.Tests.Web;

/// <summary>A server of the test's own answers, and another counts who connects to it: nobody should.</summary>
public sealed class WebFilesTests : IAsyncLifetime
{
    readonly TemporaryFolder folder = new();
    readonly TcpListener forbidden = new(IPAddress.Loopback, 0);
    readonly ConcurrentQueue<(string Method, string Path, Dictionary<string, string> Headers)> requests = [];
    readonly ConcurrentDictionary<string, (byte[] Content, string? Tag)> files = [];
    readonly ConcurrentDictionary<string, string> redirects = [];
    readonly List<ArtifactStore> stores = [];
    WebApplication server = null!;
    string host = "";

    int ForbiddenPort => ((IPEndPoint)forbidden.LocalEndpoint).Port;

    public async Task InitializeAsync()
    {
        forbidden.Start();
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        server = builder.Build();
        server.Run(AnswerAsync);
        await server.StartAsync();
        host = new Uri(server.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single()).Authority;
    }

    public async Task DisposeAsync()
    {
        foreach (var store in stores)
            store.Dispose();
        await server.DisposeAsync();
        forbidden.Dispose();
        folder.Dispose();
    }

    async Task AnswerAsync(HttpContext context)
    {
        var path = context.Request.Path.Value!;
        requests.Enqueue((context.Request.Method, path, context.Request.Headers.ToDictionary(h => h.Key, h => h.Value.ToString())));
        if (redirects.TryGetValue(path, out var target))
        {
            context.Response.Redirect(target);
            return;
        }
        if (!files.TryGetValue(path, out var file))
        {
            context.Response.StatusCode = 404;
            return;
        }
        if (context.Request.Headers.IfMatch is { Count: > 0 } wanted && wanted != file.Tag)
        {
            context.Response.StatusCode = 412;
            return;
        }
        if (file.Tag is not null)
            context.Response.Headers.ETag = file.Tag;
        context.Response.Headers.SetCookie = "a=b";
        context.Response.ContentLength = file.Content.Length;
        if (context.Request.Method == "GET")
            await context.Response.Body.WriteAsync(file.Content);
    }

    ArtifactStore Store(Action<WebOptions>? change = null)
    {
        var options = new ArtifactOptions { Http = new() { Hosts = [new() { Name = host, AllowPrivate = true }] }, CacheFolder = folder["cache"] };
        change?.Invoke(options.Http);
        stores.Add(new ArtifactStore(options));
        return stores[^1].For("local");
    }

    void Put(string path, string content, string? tag = "\"1\"") => files[path] = (System.Text.Encoding.UTF8.GetBytes(content), tag);

    async Task<string> CodeAsync(string uri, ArtifactStore? store = null) =>
        (await Should.ThrowAsync<FailureException>(async () => await (store ?? Store()).ListAsync(uri, [".csv"]))).Failure.Code;

    [Fact]
    public async Task A_file_is_pinned_and_fetched_and_nothing_is_told_about_us()
    {
        Put("/data/rows.csv", "id\n1\n");
        redirects["/latest.csv"] = "/data/rows.csv";
        var store = Store();
        using var activity = new System.Diagnostics.Activity("test").Start();

        var file = (await store.ListAsync($"http://{host}/latest.csv", [".csv"])).ShouldHaveSingleItem();
        (file.Source, file.Length, file.ETag).ShouldBe(("latest.csv", 5L, "\"1\""));
        using (var copy = await store.FetchAsync(file))
            File.ReadAllText(copy.Path).ShouldBe("id\n1\n");
        (await store.FetchAsync(file)).Dispose();

        requests.Select(r => $"{r.Method} {r.Path}").ShouldBe(["HEAD /latest.csv", "HEAD /data/rows.csv", "GET /latest.csv", "GET /data/rows.csv"]);
        requests.Last().Headers["If-Match"].ShouldBe("\"1\"");
        requests.SelectMany(r => r.Headers.Keys).Distinct().Order().ShouldBe(["Accept-Encoding", "Host", "If-Match"]);
    }

    [Fact]
    public async Task A_long_table_is_known_by_its_beginning()
    {
        Put("/rows.csv", "id\n" + string.Concat(Enumerable.Range(0, 1_000_000).Select(i => $"{i}\n")));
        var input = new Contracts.BatchInference.InputSpec($"http://{host}/rows.csv", "csv");

        (await Artifacts.Tabular.TabularInput.OpenAsync(input, Store())).Columns.ShouldBe([new("id", "BIGINT")]);

        Directory.GetFiles(folder["cache/files"]).ShouldBeEmpty();
    }

    [Fact]
    public async Task A_file_that_changed_is_not_read()
    {
        Put("/rows.csv", "id\n1\n");
        var store = Store();
        var file = (await store.ListAsync($"http://{host}/rows.csv", [".csv"]))[0];
        async Task<string> Fetched() => (await Should.ThrowAsync<FailureException>(() => store.FetchAsync(file))).Failure.Code;

        Put("/rows.csv", "id\n2\n", "\"2\"");
        (await Fetched()).ShouldBe(FailureCodes.InputChanged);
        // A server that says it is the same and gives another.
        Put("/rows.csv", "id\n1\n2\n");
        (await Fetched()).ShouldBe(FailureCodes.InputChanged);
        Put("/rows.csv", "id\n", "\"1\"");
        (await Fetched()).ShouldBe(FailureCodes.ArtifactsUnavailable);
        files.Clear();
        (await Fetched()).ShouldBe(FailureCodes.InputChanged);
        Directory.GetFiles(folder["cache/files"]).ShouldBeEmpty();
    }

    [Theory]
    [InlineData("/none.csv", "input_missing")]
    [InlineData("/weak.csv", "input_unpinnable")]
    [InlineData("/untagged.csv", "input_unpinnable")]
    [InlineData("/empty.csv", "input_empty")]
    [InlineData("/large.csv", "input_too_large")]
    [InlineData("/", "uri_invalid")]
    [InlineData("/*.csv", "uri_invalid")]
    [InlineData("/a/%2e%2e/weak.csv", "path_outside_roots")]
    [InlineData("/weak.csv?token=x", "uri_query_not_allowed")]
    public async Task What_cannot_be_pinned_says_why(string path, string code)
    {
        Put("/weak.csv", "x", "W/\"1\"");
        Put("/untagged.csv", "x", null);
        Put("/empty.csv", "");
        Put("/large.csv", new string('x', 101));
        (await CodeAsync($"http://{host}{path}", Store(options => options.MaxBytes = 100))).ShouldBe(code);
    }

    [Fact]
    public async Task What_is_small_only_while_it_is_compressed_is_refused()
    {
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Optimal))
            gzip.Write(new byte[1 << 20]);
        files["/rows.csv.gz"] = (packed.ToArray(), "\"1\"");
        var store = Store(options => options.MaxDecompressedBytes = (1 << 20) - 1);
        var file = (await store.ListAsync($"http://{host}/rows.csv.gz", [".csv.gz"]))[0];

        (await Should.ThrowAsync<FailureException>(() => store.FetchAsync(file))).Failure.Code.ShouldBe("input_too_large");

        (await Store(options => options.MaxDecompressedBytes = 1 << 20).FetchAsync(file)).Dispose();
    }

    [Fact]
    public async Task Nothing_is_fetched_where_no_host_is_listed()
    {
        using var store = new ArtifactStore(new ArtifactOptions());
        (await CodeAsync($"http://{host}/rows.csv", store)).ShouldBe("uri_scheme_not_allowed");
        requests.ShouldBeEmpty();
    }

    [Fact]
    public async Task No_name_and_no_address_leads_into_the_own_network()
    {
        var store = Store(options => options.Hosts =
        [
            .. options.Hosts, new() { Name = $"localhost:{ForbiddenPort}" }, new() { Name = $"127.0.0.1:{ForbiddenPort}" }, new() { Name = $"[::1]:{ForbiddenPort}" },
            new() { Name = $"[::ffff:127.0.0.1]:{ForbiddenPort}" },
        ]);
        string[] inside = [.. new[] { "localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]" }.Select(name => $"http://{name}:{ForbiddenPort}/rows.csv")];
        foreach (var uri in inside)
        {
            (await CodeAsync(uri, store)).ShouldBe("uri_address_not_allowed", uri);
            redirects["/r.csv"] = uri;
            (await CodeAsync($"http://{host}/r.csv", store)).ShouldBe("uri_address_not_allowed", uri);
        }
        // Spelled otherwise, it is not the host that is listed, or it is the same address.
        foreach (var uri in new[] { $"http://2130706433:{ForbiddenPort}/rows.csv", $"http://0x7f.1:{ForbiddenPort}/rows.csv", $"http://127.1:{ForbiddenPort}/rows.csv" })
            (await CodeAsync(uri, store)).ShouldBeOneOf("uri_address_not_allowed", "uri_host_not_allowed");

        forbidden.Pending().ShouldBeFalse();
    }

    [Fact]
    public async Task A_redirect_leads_to_listed_hosts_only_and_never_in_circles()
    {
        var store = Store();
        foreach (var target in new[] { $"http://127.0.0.1:{ForbiddenPort}/x.csv", $"http://localhost:{ForbiddenPort}/x.csv", "http://169.254.169.254/x.csv", "file:///etc/passwd" })
        {
            redirects["/r.csv"] = target;
            (await CodeAsync($"http://{host}/r.csv", store)).ShouldBe("uri_host_not_allowed", target);
        }
        redirects["/r.csv"] = $"http://me:pw@{host}/x.csv";
        (await CodeAsync($"http://{host}/r.csv", store)).ShouldBe("uri_redirect_not_allowed");
        redirects["/r.csv"] = "/r.csv";
        (await CodeAsync($"http://{host}/r.csv", store)).ShouldBe("uri_redirect_not_allowed");
        forbidden.Pending().ShouldBeFalse();
    }

    [Fact]
    public async Task An_accounts_credential_goes_to_no_other_host_and_another_account_gets_no_request()
    {
        var key = Convert.ToBase64String(new byte[64]);
        var options = new ArtifactOptions
        {
            Http = new() { Hosts = [new() { Name = host, AllowPrivate = true }] },
            Blob = new()
            {
                Accounts = new()
                {
                    ["main"] = new()
                    {
                        ConnectionString = $"DefaultEndpointsProtocol=http;AccountName=first;AccountKey={key};BlobEndpoint=http://127.0.0.1:{ForbiddenPort}/first;",
                        Tenants = new() { ["local"] = new() { Inputs = ["data"] } },
                    },
                },
            },
            CacheFolder = folder["cache"],
        };
        stores.Add(new ArtifactStore(options));
        var store = stores[^1].For("local");
        Put("/first/data/rows.csv", "id\n1\n");

        // The same path on the host that answers: fetched as anybody could.
        var file = (await store.ListAsync($"http://{host}/first/data/rows.csv", [".csv"]))[0];
        (await store.FetchAsync(file)).Dispose();
        requests.SelectMany(r => r.Headers.Keys).Distinct().Order().ShouldBe(["Accept-Encoding", "Host", "If-Match"]);
        foreach (var uri in new[] { $"http://127.0.0.1:{ForbiddenPort}/second/data/rows.csv", $"http://127.0.0.1:{ForbiddenPort}/first-/data/rows.csv", $"http://localhost:{ForbiddenPort}/first/data/rows.csv" })
            (await CodeAsync(uri, store)).ShouldBe("uri_host_not_allowed", uri);
        (await CodeAsync($"http://127.0.0.1:{ForbiddenPort}/first/other/rows.csv", store)).ShouldBe("path_outside_roots");
        // And a redirect to the account is one to a host that is not listed.
        redirects["/r.csv"] = $"http://127.0.0.1:{ForbiddenPort}/first/data/rows.csv";
        (await CodeAsync($"http://{host}/r.csv", store)).ShouldBe("uri_host_not_allowed");

        forbidden.Pending().ShouldBeFalse();
    }
}
