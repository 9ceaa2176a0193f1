using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Microsoft.EntityFrameworkCore;
using Support;

namespace Api.Tests;

[Collection(nameof(ApiHost))]
[Trait("Category", "Server")]
public sealed class ModelsTests(ApiHost host)
{
    [Fact]
    public async Task Registers_a_file_by_URI_once()
    {
        var path = host.Write("by-uri.onnx", "good by uri");
        var version = Sha256("good by uri");

        var response = await host.PostAsync("/api/v1/models", new { name = "by-uri", uri = ApiHost.Uri(path), description = "Mine" });

        response.StatusCode.ShouldBe(HttpStatusCode.Created, await response.Content.ReadAsStringAsync());
        response.Headers.Location!.ToString().ShouldBe($"/api/v1/models/by-uri/versions/{version}");
        var body = await response.JsonAsync();
        body.GetProperty("rowsPerSecond").GetDouble().ShouldBe(1234);
        body.GetProperty("description").GetString().ShouldBe("Mine");
        body.GetProperty("signature").GetProperty("inputs")[0].GetProperty("name").GetString().ShouldBe("features");
        File.ReadAllText(Path.Combine(host.Models, "@local", version[..2], $"{version}.onnx")).ShouldBe("good by uri");

        var again = await host.PostAsync("/api/v1/models", new { name = "by-uri", uri = ApiHost.Uri(path) });
        again.StatusCode.ShouldBe(HttpStatusCode.OK);
        (await host.WithDbAsync(db => db.Models.CountAsync(m => m.Name == "by-uri"))).ShouldBe(1);
        Incoming().ShouldBeEmpty();
    }

    [Fact]
    public async Task Integrating_systems_hear_of_a_new_version_once()
    {
        await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => UploadAsync("announced", "good announced")));
        await UploadAsync("announced", "good announced");
        await UploadAsync("announced", "good announced, second version");

        var second = Sha256("good announced, second version");
        await Eventually.TrueAsync(() => host.ModelUpdates.Any(u => u.Version == second), "model-updates");
        var updates = host.ModelUpdates.Where(u => u.Model == "announced").ToList();
        updates.Select(u => u.Version).ShouldBe([Sha256("good announced"), second], ignoreOrder: true);
        var update = updates.Single(u => u.Version == second);
        update.Type.ShouldBe("model-version-registered");
        update.Link.ShouldBe($"/api/v1/models/announced/versions/{second}");
        (update.Tenant, update.Bytes, update.RowsPerSecond).ShouldBe(("local", 30, 1234));
    }

    [Fact]
    public async Task Registers_an_upload_bare_or_in_a_form()
    {
        (await UploadAsync("bare", "good bare")).StatusCode.ShouldBe(HttpStatusCode.Created);

        using var form = new MultipartFormDataContent { { new StringContent("in-form"), "name" }, { new StringContent("From a form"), "description" } };
        form.Add(new ByteArrayContent(Encoding.UTF8.GetBytes("good form")), "file", "model.onnx");
        var response = await host.Client.PostAsync("/api/v1/models", form);
        response.StatusCode.ShouldBe(HttpStatusCode.Created, await response.Content.ReadAsStringAsync());
        (await response.JsonAsync()).GetProperty("description").GetString().ShouldBe("From a form");

        var other = await UploadAsync("bare", "good bare, second version");
        other.StatusCode.ShouldBe(HttpStatusCode.Created);
        var model = await (await host.Client.GetAsync("/api/v1/models/bare")).JsonAsync();
        model.GetProperty("latest").GetProperty("version").GetString().ShouldBe(Sha256("good bare, second version"));
        model.GetProperty("versions").GetArrayLength().ShouldBe(2);
        var first = await (await host.Client.GetAsync($"/api/v1/models/bare/versions/{Sha256("good bare")}")).JsonAsync();
        first.GetProperty("bytes").GetInt64().ShouldBe(9);
        (await host.Client.GetAsync("/api/v1/models/bare/versions/latest")).StatusCode.ShouldBe(HttpStatusCode.OK);
        await (await host.Client.GetAsync("/api/v1/models/nobody")).ProblemAsync(404, "model_not_found");
        await (await host.Client.GetAsync("/api/v1/models/bare/versions/abc")).ProblemAsync(404, "model_not_found");
        var names = (await (await host.Client.GetAsync("/api/v1/models")).JsonAsync()).GetProperty("models").EnumerateArray().Select(m => m.GetProperty("name").GetString());
        names.ShouldContain("bare");
        names.ShouldContain("in-form");
    }

    [Theory]
    [InlineData("model_malformed")]
    [InlineData("custom_op")]
    [InlineData("model_not_tabular")]
    public async Task Leaves_nothing_of_a_model_that_the_worker_refuses(string code)
    {
        var before = await host.LeftoversAsync();

        var errors = await (await UploadAsync("refused", code, key: $"k-{code}")).ProblemAsync(422, code);

        errors.ShouldBe(new Dictionary<string, string> { ["file.x"] = code });
        (await host.LeftoversAsync()).ShouldBe(before);
    }

    [Theory]
    [InlineData("crash", 422, "model_unusable")]
    [InlineData("silent", 503, "no_worker")]
    [InlineData("", 422, "model_empty")]
    public async Task Leaves_nothing_of_a_model_that_nobody_could_look_at(string text, int status, string code)
    {
        var before = await host.LeftoversAsync();

        var response = await UploadAsync("refused", text);

        (await response.ProblemAsync(status, code)).Keys.ShouldBe(status == 503 ? [] : ["file"]);
        (response.Headers.RetryAfter is not null).ShouldBe(status == 503);
        (await host.LeftoversAsync()).ShouldBe(before);
    }

    [Fact]
    public async Task Refuses_a_file_that_is_too_large()
    {
        var before = await host.LeftoversAsync();

        await (await UploadAsync("large", "good" + new string('x', 2_000_000))).ProblemAsync(413, "body_too_large");

        (await host.LeftoversAsync()).ShouldBe(before);
    }

    [Theory]
    [InlineData("")]
    [InlineData("-dash")]
    [InlineData("../up")]
    [InlineData("a b")]
    [InlineData("ünder")]
    [InlineData("name@version")]
    public async Task Refuses_names_that_are_no_names(string name)
    {
        var before = await host.LeftoversAsync();

        (await (await host.PostAsync("/api/v1/models", new { name, uri = "s3://x/y.onnx" })).ProblemAsync(400, "invalid_request")).Keys.ShouldBe(["name", "uri"], ignoreOrder: true);
        (await UploadAsync(Uri.EscapeDataString(name), "good")).StatusCode.ShouldBe(HttpStatusCode.BadRequest);

        (await host.LeftoversAsync()).ShouldBe(before);
    }

    [Fact]
    public async Task Refuses_files_outside_the_roots_and_other_forms_of_request()
    {
        File.WriteAllText(Path.Combine(host.Outside, "secret.onnx"), "good");
        var before = await host.LeftoversAsync();

        (await (await host.PostAsync("/api/v1/models", new { name = "out", uri = ApiHost.Uri(host.Outside, "secret.onnx") })).ProblemAsync(422, "path_outside_roots")).Keys.ShouldBe(["uri"]);
        await (await host.PostAsync("/api/v1/models", new { name = "out", uri = ApiHost.Uri(host.Inputs, "missing.onnx") })).ProblemAsync(422, "input_missing");
        await (await host.PostAsync("/api/v1/models", new { })).ProblemAsync(400, "field_missing");
        await (await host.Client.PostAsync("/api/v1/models?name=x", new StringContent("good", Encoding.UTF8, "text/plain"))).ProblemAsync(415, "unsupported_media_type");
        using var form = new MultipartFormDataContent { { new StringContent("nofile"), "name" }, { new StringContent("x"), "surplus" } };
        (await (await host.Client.PostAsync("/api/v1/models", form)).ProblemAsync(400, "invalid_request")).Keys.ShouldBe(["surplus", "file"], ignoreOrder: true);

        (await host.LeftoversAsync()).ShouldBe(before);
    }

    [Fact]
    public async Task A_model_of_several_files_has_the_version_of_their_list_and_a_folder_of_its_own()
    {
        var list = $"{Sha256("good model")}  model.onnx\n{Sha256("ones")}  a.bin\n{Sha256("more")}  b.bin\n";

        var response = await SendAsync("several", ("data", "b.bin", "more"), ("file", "any.onnx", "good model"), ("data", "a.bin", "ones"));

        response.StatusCode.ShouldBe(HttpStatusCode.Created, await response.Content.ReadAsStringAsync());
        var body = await response.JsonAsync();
        body.GetProperty("version").GetString().ShouldBe(Sha256(list));
        body.GetProperty("bytes").GetInt64().ShouldBe(18);
        body.GetProperty("files").EnumerateArray().Select(f => $"{f.GetProperty("sha256").GetString()}  {f.GetProperty("name").GetString()}\n").ShouldBe(list.Split('\n').SkipLast(1).Select(l => l + "\n"));
        var folder = Path.Combine(host.Models, "@local", Sha256(list)[..2], Sha256(list));
        Directory.GetFiles(folder).Select(Path.GetFileName).ShouldBe(["model.onnx", "a.bin", "b.bin"], ignoreOrder: true);
        File.ReadAllText($"{folder}.sha256").ShouldBe(list);
        var download = await host.Client.GetAsync("/api/v1/models/several/versions/latest/download?file=b.bin");
        (await download.Content.ReadAsStringAsync()).ShouldBe("more");
        download.Headers.ETag!.Tag.ShouldBe($"\"{Sha256("more")}\"");
        (await host.Client.GetStringAsync("/api/v1/models/several/versions/latest/download")).ShouldBe("good model");
        await (await host.Client.GetAsync("/api/v1/models/several/versions/latest/download?file=..%2Fx")).ProblemAsync(404, "model_not_found");

        (await SendAsync("several", ("file", "model.onnx", "good model"), ("data", "a.bin", "ones"), ("data", "b.bin", "more"))).StatusCode.ShouldBe(HttpStatusCode.OK);
        (await SendAsync("several", ("file", "model.onnx", "good model"), ("data", "a.bin", "ones"))).StatusCode.ShouldBe(HttpStatusCode.Created);
        Incoming().ShouldBeEmpty();
    }

    [Theory]
    [InlineData("../up.bin")]
    [InlineData("/abs.bin")]
    [InlineData(".hidden")]
    [InlineData("a/b")]
    [InlineData("C:x")]
    public async Task Refuses_files_with_names_that_lead_elsewhere(string file)
    {
        var before = await host.LeftoversAsync();

        (await (await SendAsync("led", ("file", "model.onnx", "good model"), ("data", file, "x"))).ProblemAsync(400, "name_invalid")).Keys.ShouldBe(["data"]);

        (await host.LeftoversAsync()).ShouldBe(before);
    }

    [Fact]
    public async Task Refuses_a_file_twice_an_empty_one_and_more_than_allowed()
    {
        var before = await host.LeftoversAsync();

        await (await SendAsync("twice", ("file", "m", "good"), ("data", "a.bin", "x"), ("data", "a.bin", "y"))).ProblemAsync(400, "duplicate_field");
        await (await SendAsync("twice", ("file", "m", "good"), ("file", "n", "good"))).ProblemAsync(400, "duplicate_field");
        await (await SendAsync("empty", ("file", "m", "good"), ("data", "a.bin", ""))).ProblemAsync(422, "model_empty");
        await (await SendAsync("large", ("file", "m", "good"), ("data", "a.bin", new string('x', 2_000_000)), ("data", "b.bin", new string('x', 1_500_000)))).ProblemAsync(413, "body_too_large");
        (await (await SendAsync("nothing", ("data", "a.bin", "x"), ("data", "b.bin", "x"))).ProblemAsync(400, "field_missing")).Keys.ShouldBe(["file"]);

        (await host.LeftoversAsync()).ShouldBe(before);
        Directory.GetDirectories(Path.Combine(host.Models, "@local", ".incoming")).ShouldBeEmpty();
    }

    [Fact]
    public async Task The_same_upload_at_once_is_one_version()
    {
        var answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => UploadAsync("at-once", "good at once")));

        answers.ShouldAllBe(a => a.IsSuccessStatusCode);
        (await host.WithDbAsync(db => db.Models.CountAsync(m => m.Name == "at-once"))).ShouldBe(1);
        File.Exists(Path.Combine(host.Models, "@local", Sha256("good at once")[..2], $"{Sha256("good at once")}.onnx")).ShouldBeTrue();
        Incoming().ShouldBeEmpty();
    }

    [Fact]
    public async Task Leaves_nothing_of_an_upload_that_breaks_off()
    {
        var before = await host.LeftoversAsync();
        using (var caller = new TcpClient())
        {
            await caller.ConnectAsync(host.Client.BaseAddress!.Host, host.Client.BaseAddress.Port);
            await caller.GetStream().WriteAsync(Encoding.ASCII.GetBytes(
                "POST /api/v1/models?name=broken HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\nContent-Length: 100000\r\n\r\ngood, so far"));
            await Eventually.TrueAsync(() => Incoming().Length > 0, "the file's beginning");
        }

        await Eventually.TrueAsync(() => Incoming().Length == 0, "the file's end");
        (await host.LeftoversAsync()).ShouldBe(before);
    }

    [Fact]
    public async Task A_key_repeats_the_first_answer()
    {
        var first = await UploadAsync("with-key", "good with key", "model-key");
        var again = await UploadAsync("with-key", "good with key", "model-key");

        again.StatusCode.ShouldBe(HttpStatusCode.Created);
        (await again.Content.ReadAsStringAsync()).ShouldBe(await first.Content.ReadAsStringAsync());
        await (await UploadAsync("with-key", "good with another file", "model-key")).ProblemAsync(422, "idempotency_key_reused");
    }

    string[] Incoming() => Path.Combine(host.Models, "@local", ".incoming") is var folder && Directory.Exists(folder) ? Directory.GetFiles(folder, "*", SearchOption.AllDirectories) : [];

    Task<HttpResponseMessage> UploadAsync(string name, string text, string? key = null)
    {
        var content = new ByteArrayContent(Encoding.UTF8.GetBytes(text));
        content.Headers.ContentType = new MediaTypeHeaderValue("application/octet-stream");
        var request = new HttpRequestMessage(HttpMethod.Post, $"/api/v1/models?name={name}") { Content = content };
        if (key is not null)
            request.Headers.Add("Idempotency-Key", key);
        return host.Client.SendAsync(request);
    }

    async Task<HttpResponseMessage> SendAsync(string name, params (string Field, string File, string Text)[] files)
    {
        using var form = new MultipartFormDataContent { { new StringContent(name), "name" } };
        foreach (var (field, file, text) in files)
            form.Add(new StringContent(text), field, file);
        return await host.Client.PostAsync("/api/v1/models", form);
    }

    static string Sha256(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
}
