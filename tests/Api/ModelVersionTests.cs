using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using Microsoft.EntityFrameworkCore;

namespace Api.Tests;

[Collection(nameof(ApiHost))]
[Trait("Category", "Server")]
public sealed class ModelVersionTests(ApiHost host)
{
    [Fact]
    public async Task Labels_and_card_are_changed_one_by_one()
    {
        await host.AddModelAsync("described", new string('4', 64));

        var changed = await DescribeAsync("described", new { labels = new { owner = "risk", stage = "test" }, card = "# For credit\n\nNot for fraud." });
        changed.StatusCode.ShouldBe(HttpStatusCode.OK, await changed.Content.ReadAsStringAsync());
        changed = await DescribeAsync("described", new { labels = new Dictionary<string, string?> { ["stage"] = null, ["eu/risk-class"] = "high" }, reason = "Reviewed." });

        var version = await (await host.Client.GetAsync("/api/v1/models/described/versions/latest")).JsonAsync();
        version.ToString().ShouldBe((await changed.JsonAsync()).ToString());
        version.GetProperty("labels").ToString().ShouldBe("""{"eu/risk-class":"high","owner":"risk"}""");
        version.GetProperty("card").GetString().ShouldStartWith("# For credit");
        (await (await DescribeAsync("described", new { card = "", description = "Short." })).JsonAsync()).TryGetProperty("card", out _).ShouldBeFalse();
        (await host.WithDbAsync(db => db.AuditEntries.Where(e => e.Action == "model.describe" && e.Subject.StartsWith("described@")).Select(e => e.Reason).ToListAsync()))
            .ShouldBe([null, "Reviewed.", null], ignoreOrder: true);
    }

    [Fact]
    public async Task Labels_set_at_once_are_all_there()
    {
        await host.AddModelAsync("labelled", new string('5', 64));

        var answers = await Task.WhenAll(Enumerable.Range(0, 16).Select(i => DescribeAsync("labelled", new { labels = new Dictionary<string, string> { [$"k{i}"] = "v" } })));

        answers.ShouldAllBe(a => a.StatusCode == HttpStatusCode.OK);
        (await (await host.Client.GetAsync("/api/v1/models/labelled/versions/latest")).JsonAsync()).GetProperty("labels").EnumerateObject().Count().ShouldBe(16);
    }

    [Fact]
    public async Task Refuses_what_is_too_much_or_no_label()
    {
        await host.AddModelAsync("limited", new string('6', 64));

        (await (await DescribeAsync("limited", new { })).ProblemAsync(400, "field_missing")).Keys.ShouldBe(["labels"]);
        (await (await DescribeAsync("limited", new { card = new string('é', 33_000), description = new string('x', 2001) })).ProblemAsync(400, "out_of_range")).Keys.ShouldBe(["card", "description"], ignoreOrder: true);
        (await (await DescribeAsync("limited", new { labels = new Dictionary<string, string> { ["-bad"] = "v", ["long"] = new string('x', 257), ["line"] = "a\nb", ["nul"] = "a\0b" } }))
            .ProblemAsync(400, "invalid_request")).Keys.ShouldBe(["labels.-bad", "labels.long", "labels.line", "labels.nul"], ignoreOrder: true);
        (await (await DescribeAsync("limited", new { labels = "text" })).ProblemAsync(400, "wrong_type")).Keys.ShouldBe(["labels"]);
        (await (await DescribeAsync("limited", new { labels = Enumerable.Range(0, 65).ToDictionary(i => $"k{i}", _ => "v") })).ProblemAsync(400, "out_of_range")).Keys.ShouldBe(["labels"]);
        await (await host.Client.PatchAsJsonAsync("/api/v1/models/limited/versions/nope", new { card = "x" })).ProblemAsync(404, "model_not_found");

        var version = await (await host.Client.GetAsync("/api/v1/models/limited/versions/latest")).JsonAsync();
        version.GetProperty("labels").EnumerateObject().ShouldBeEmpty();
        version.TryGetProperty("card", out _).ShouldBeFalse();
    }

    [Fact]
    public async Task A_signature_is_read_by_itself() =>
        (await (await host.Client.GetAsync("/api/v1/models/risk/versions/latest/signature")).JsonAsync()).GetProperty("inputs")[0].GetProperty("name").GetString().ShouldBe("features");

    [Fact]
    public async Task A_file_is_downloaded_whole_in_ranges_and_not_again()
    {
        const string path = $"/api/v1/models/risk/versions/{ApiHost.Version}/download";

        var whole = await host.Client.GetAsync(path);
        whole.StatusCode.ShouldBe(HttpStatusCode.OK);
        (await whole.Content.ReadAsStringAsync()).ShouldBe(ApiHost.RiskFile);
        whole.Headers.ETag!.Tag.ShouldBe($"\"{ApiHost.Version}\"");
        whole.Content.Headers.ContentType!.MediaType.ShouldBe("application/octet-stream");
        whole.Content.Headers.ContentDisposition!.FileName.ShouldBe("risk.onnx");

        var part = await SendAsync(path, r => r.Headers.Range = new RangeHeaderValue(6, 8));
        part.StatusCode.ShouldBe(HttpStatusCode.PartialContent);
        (await part.Content.ReadAsStringAsync()).ShouldBe(ApiHost.RiskFile[6..9]);
        part.Content.Headers.ContentRange!.Length.ShouldBe(ApiHost.RiskFile.Length);
        (await SendAsync(path, r => r.Headers.Range = new RangeHeaderValue(5000, 6000))).StatusCode.ShouldBe(HttpStatusCode.RequestedRangeNotSatisfiable);
        (await SendAsync(path, r => r.Headers.IfNoneMatch.Add(whole.Headers.ETag))).StatusCode.ShouldBe(HttpStatusCode.NotModified);
    }

    [Fact]
    public async Task A_file_that_is_gone_or_never_was_is_said_to_be()
    {
        await host.AddModelAsync("gone", new string('7', 64));
        await (await host.Client.GetAsync("/api/v1/models/gone/versions/latest/download")).ProblemAsync(404, "model_not_found");
        await (await host.Client.GetAsync("/api/v1/models/gone/versions/nope/download")).ProblemAsync(404, "model_not_found");
    }

    Task<HttpResponseMessage> DescribeAsync(string model, object body) => host.Client.PatchAsJsonAsync($"/api/v1/models/{model}/versions/latest", body);

    async Task<HttpResponseMessage> SendAsync(string path, Action<HttpRequestMessage> change)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        change(request);
        return await host.Client.SendAsync(request);
    }
}
