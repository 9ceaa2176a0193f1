using System.Text;
using System.Text.Json;
using Contracts;
using Contracts.BatchInference;
using MassTransit;
using Messaging;
using Messaging.PlainJson;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Sagas.WorkLedger;
using Support;

namespace Api.Tests;

/// <summary>Requests that come as messages. What the broker does to them is shown elsewhere, with a client of its own.</summary>
[Collection(nameof(ApiHost))]
[Trait("Category", "Server")]
public sealed class IntakeTests(ApiHost host)
{
    const string Rows = "rows.parquet";

    readonly InputQueue _queue = new(host, BatchQueues.Input);

    [Fact]
    public async Task Plain_JSON_starts_the_job_that_it_names()
    {
        var id = Guid.CreateVersion7();

        await SendAsync(Body(id.ToString()));

        var job = await StartedAsync(id);
        job.Reference.ShouldBe(id.ToString());
        var spec = WireJson.Read<BatchJobSpec>(job.Spec);
        spec.Model.Name.ShouldBe("risk");
        spec.BatchSize.ShouldBe(77);
        await Eventually.TrueAsync(() => host.Submitted.ContainsKey(id), "SubmitBatchJob");
        var started = await OutputAsync(id);
        started.Type.ShouldBe(BatchEventTypes.Started);
        started.Reference.ShouldBe(id.ToString());
        started.Links!.Self.ShouldBe($"/api/v1/batch-inference/jobs/{id}");
        (await (await host.Client.GetAsync(started.Links.Self)).JsonAsync()).GetProperty("reference").GetString().ShouldBe(id.ToString());
    }

    [Fact]
    public async Task A_name_that_is_no_UUID_leads_to_the_same_id_every_time()
    {
        var name = NewName();
        var id = IncomingJobId(name);

        await SendAsync(Body(name));

        (await StartedAsync(id)).Reference.ShouldBe(name);
        IncomingJobId(name).ShouldBe(id);
        IncomingJobId(name + "x").ShouldNotBe(id);
        (await OutputAsync(id)).Reference.ShouldBe(name);
    }

    // SHA-256 of the tenant, a line feed and the name: the first 16 bytes, with the bits of version 8.
    [Fact]
    public void The_id_of_a_name_can_be_worked_out_by_anybody() => IncomingJobId("order-17").ShouldBe(Documented("local\norder-17"));

    [Fact]
    public async Task The_id_of_the_message_is_the_name_where_the_body_has_none()
    {
        var name = Guid.CreateVersion7();

        await SendAsync(Body(null), messageId: name);
        await StartedAsync(name);
        await SendAsync(Body(null), messageId: name);
        await SendAsync(Body($"{name}"));

        await AfterwardsAsync();
        (await CountAsync($"{name}")).ShouldBe(1);
        (await LettersAsync($"{name}")).ShouldBeEmpty();
    }

    [Fact]
    public async Task MassTransits_envelope_brings_the_same_fields()
    {
        var (named, unnamed) = (NewName(), Guid.CreateVersion7());

        await SendAsync(Envelope(Guid.CreateVersion7(), Body(named)), contentType: "application/vnd.masstransit+json");
        await SendAsync(Envelope(unnamed, Body(null)), contentType: "application/vnd.masstransit+json");

        await StartedAsync(IncomingJobId(named));
        await StartedAsync(unnamed);
    }

    [Fact]
    public async Task A_client_of_MassTransit_needs_no_type_of_ours()
    {
        var name = NewName();
        var queue = await host.Services.GetRequiredService<IBus>().GetSendEndpoint(QueueAddress.Of(BatchQueues.Input));

        await queue.Send(new ScoreMyTable(name, "risk", new TableOfMine(ApiHost.Uri(host.Inputs, Rows))));

        await StartedAsync(IncomingJobId(name));
    }

    [Fact]
    public async Task Twenty_twins_at_once_start_one_job_and_say_so_once()
    {
        var name = NewName();

        await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => SendAsync(Body(name))));

        var id = IncomingJobId(name);
        await StartedAsync(id);
        await AfterwardsAsync();
        (await CountAsync(name)).ShouldBe(1);
        await Eventually.TrueAsync(() => host.Submitted.ContainsKey(id), "SubmitBatchJob");
        host.Submitted[id].ShouldBe(1);
        await OutputAsync(id);
        host.EventsOf(id).Count.ShouldBe(1);
        (await LettersAsync(name)).ShouldBeEmpty();
    }

    [Fact]
    public async Task The_same_name_with_another_request_is_refused_and_the_first_stands()
    {
        var name = NewName();
        await SendAsync(Body(name));
        var first = await StartedAsync(IncomingJobId(name));

        await SendAsync(Body(name, batchSize: 78));
        // White space and order of the fields are not the request.
        await SendAsync($$"""{ "input": {"uri":"{{ApiHost.Uri(host.Inputs, Rows)}}"},  "batchSize":77, "jobId":"{{name}}", "model":"risk" }""");

        var letter = await LetterAsync(name);
        letter.Reason.ShouldBe("refused");
        letter.Error.ShouldStartWith("job_id_reused: ");
        await AfterwardsAsync();
        (await LettersAsync(name)).Count.ShouldBe(1);
        (await StartedAsync(IncomingJobId(name))).Spec.ShouldBe(first.Spec);
        var rejected = host.EventsOf(first.Id).Single(o => o.Type == BatchEventTypes.Rejected);
        rejected.Failure!.Code.ShouldBe("job_id_reused");
    }

    [Fact]
    public async Task A_bad_request_is_refused_with_every_bad_field_and_its_sender_is_told()
    {
        var name = NewName();

        await SendAsync($$"""{ "jobId": "{{name}}", "model": "nope", "batchSize": 0, "nonsense": 1, "input": { "uri": "{{ApiHost.Uri(host.Inputs, Rows)}}" } }""");

        var letter = await LetterAsync(name);
        letter.Queue.ShouldBe("batch-inference-input");
        letter.Error.ShouldStartWith("invalid_request: ");
        foreach (var field in new[] { "model: model_unknown: ", "batchSize: out_of_range: ", "nonsense: unknown_field: " })
            letter.Error.ShouldContain(field);
        var rejected = await OutputAsync(IncomingJobId(name));
        rejected.Type.ShouldBe(BatchEventTypes.Rejected);
        rejected.Status.ShouldBe("Rejected");
        (rejected.Tenant, rejected.Queue).ShouldBe(("local", "batch-inference-input"));
        rejected.Links.ShouldBeNull();
        rejected.Failure!.Fields.Select(f => f.Field).ShouldBe(["model", "batchSize", "nonsense"], ignoreOrder: true);
        (await CountAsync(name)).ShouldBe(0);
    }

    [Fact]
    public async Task Whoever_says_here_whose_job_it_is_is_refused()
    {
        var name = NewName();

        await SendAsync("""{ "tenant": "local", """ + Body(name)[1..]);

        (await LetterAsync(name)).Error.ShouldContain("tenant: unknown_field: ");
        var rejected = await OutputAsync(IncomingJobId(name));
        (rejected.Type, rejected.Tenant).ShouldBe((BatchEventTypes.Rejected, "local"));
        (await CountAsync(name)).ShouldBe(0);
    }

    // So that who hears of a refusal twice, from before and after an update, knows it as the same.
    [Fact]
    public async Task The_id_of_a_refusal_follows_from_name_and_body()
    {
        var (id, body) = (Guid.CreateVersion7(), "no JSON");

        await SendAsync(body, messageId: id);

        (await OutputAsync(id)).Reference.ShouldBe($"{id}");
        var sha256 = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(Encoding.UTF8.GetBytes(body)));
        host.Events[id].Single().MessageId.ShouldBe(NamedGuid.Of($"refused\nlocal\n{id}\n{sha256}"));
    }

    [Fact]
    public async Task A_refused_request_does_not_use_up_its_name()
    {
        var name = NewName();
        await SendAsync(Body(name, model: "nope"));
        await LetterAsync(name);

        await SendAsync(Body(name));

        await StartedAsync(IncomingJobId(name));
    }

    [Fact]
    public async Task Garbage_is_refused_and_blocks_nobody()
    {
        // Whatever else it is, it has this in it.
        var mark = NewName();
        (string Text, string Code)[] garbage =
        [
            ($"<xml>{mark}</xml>", "malformed_json"),
            ($"\"{mark}\"", "malformed_json"),
            ($"{{ \"jobId\": \"{mark}\"", "malformed_json"),
            ($"{{ \"\\ud800\": 1, \"jobId\": \"{mark}\" }}", "malformed_json"),
            ($"{{ \"messageType\": [], \"message\": \"{mark}\" }}", "malformed_json"),
            ($"{{ \"jobId\": \"{mark}\", \"x\": {new string('[', 20)}{new string(']', 20)} }}", "json_too_deep"),
            ($"{{ \"jobId\": \"{mark}\", \"x\": {new string('[', 20_000)}{new string(']', 20_000)} }}", "json_too_deep"),
            ($"{{ \"jobId\": \"{mark}\", \"x\": \"{new string('x', 300_000)}\" }}", "body_too_large"),
        ];

        foreach (var (text, _) in garbage)
            await SendAsync(text);
        await SendAsync("");
        await _queue.SendAsync([0xFF, 0xFE, 0x00, .. Encoding.UTF8.GetBytes(mark)], null, "garbage/;;");
        await SendAsync(Body(mark));

        await StartedAsync(IncomingJobId(mark));
        await Eventually.TrueAsync(async () => (await LettersAsync(mark)).Count == garbage.Length + 1, "dead letters of all the garbage");
        var letters = await LettersAsync(mark);
        letters.ShouldAllBe(l => l.Reason == "refused" && l.Queue == "batch-inference-input" && l.Stack == null);
        letters.Select(l => l.Error.Split(':')[0]).Order().ShouldBe(garbage.Select(g => g.Code).Append("malformed_json").Order());
        var large = letters.Single(l => l.Error.StartsWith("body_too_large", StringComparison.Ordinal));
        large.Body.Length.ShouldBe(256 << 10);
        large.Error.ShouldContain("262144");
    }

    [Fact]
    public async Task What_cannot_be_text_in_the_database_is_refused_all_the_same()
    {
        var mark = NewName();

        await SendAsync($$"""{ "jobId": "{{mark}}", "model": "risk", "a\u0000b": 1 }""");
        await SendAsync($$"""{ "jobId": "{{mark}}-\u0000", "model": "risk" }""");

        await Eventually.TrueAsync(async () => (await LettersAsync(mark)).Count == 2, "two dead letters");
        (await LettersAsync(mark)).ShouldAllBe(l => l.Reason == "refused");
    }

    [Fact]
    public async Task Thousands_of_bad_fields_are_cut_to_the_first_hundred()
    {
        var name = NewName();

        await SendAsync($$"""{ "jobId": "{{name}}", {{string.Join(", ", Enumerable.Range(0, 5000).Select(i => $"\"f{i}\": 1"))}} }""");

        var rejected = await OutputAsync(IncomingJobId(name));
        rejected.Failure!.Fields.Count.ShouldBe(100);
        rejected.Failure.Message.ShouldContain("500");
    }

    [Theory]
    [InlineData("")]
    [InlineData("two words")]
    [InlineData("line\\nfeed")]
    public async Task A_name_must_be_visible(string jobId)
    {
        var message = NewName();

        await SendAsync($$"""{ "jobId": "{{jobId}}", "model": "risk", "maxErrors": 1, "keyColumns": ["{{message}}"] }""");

        (await LetterAsync(message)).Error.ShouldContain("jobId: invalid_text: ");
    }

    [Fact]
    public async Task Events_are_plain_JSON_with_a_type_and_an_id_that_stays()
    {
        var name = NewName();
        await SendAsync(Body(name));
        var id = IncomingJobId(name);
        await OutputAsync(id);

        var (_, text, contentType, type, messageId) = host.Events[id].Single();

        contentType.ShouldBe("application/json");
        type.ShouldBe(BatchEventTypes.Started);
        messageId.ShouldBe(NamedGuid.Of($"{BatchEventTypes.Started}\n{id}"));
        var json = JsonSerializer.Deserialize<JsonElement>(text);
        json.GetProperty("type").GetString().ShouldBe(BatchEventTypes.Started);
        json.GetProperty("jobId").GetGuid().ShouldBe(id);
        json.GetProperty("tenant").GetString().ShouldBe("local");
        json.TryGetProperty("queue", out _).ShouldBeFalse();
        json.TryGetProperty("message", out _).ShouldBeFalse();
        json.TryGetProperty("failure", out _).ShouldBeFalse();
    }

    static string NewName() => $"order-{Guid.CreateVersion7():N}";

    static Guid IncomingJobId(string name) => BatchInference.IncomingJob.IdOf("local", name);

    static Guid Documented(string text)
    {
        var bytes = System.Security.Cryptography.SHA256.HashData(Encoding.UTF8.GetBytes(text));
        var hex = Convert.ToHexStringLower(bytes.AsSpan(0, 16)).ToCharArray();
        hex[12] = '8';
        hex[16] = "89ab"[Convert.ToInt32(hex[16].ToString(), 16) & 3];
        return Guid.ParseExact(hex, "N");
    }

    string Body(string? jobId, int batchSize = 77, string model = "risk") => JsonSerializer.Serialize(new Dictionary<string, object?>
    {
        ["jobId"] = jobId,
        ["model"] = model,
        ["batchSize"] = batchSize,
        ["input"] = new { uri = ApiHost.Uri(host.Inputs, Rows) },
    });

    static string Envelope(Guid messageId, string message) =>
        $$"""{ "messageId": "{{messageId}}", "messageType": ["urn:message:Theirs:ScoreTable"], "message": {{message}}, "headers": {}, "host": { "machineName": "theirs" } }""";

    Task SendAsync(string body, Guid? messageId = null, string? contentType = null) => _queue.SendAsync(body, messageId, contentType);

    Task<WorkJob> StartedAsync(Guid id) => _queue.StartedAsync(id);

    Task<int> CountAsync(string reference) => host.WithDbAsync(db => db.WorkJobs.CountAsync(j => j.Reference == reference));

    Task<BatchInferenceOutput> OutputAsync(Guid id) => _queue.OutputAsync(id);

    // The queue is read in order, four at a time: once four more have gone through, all before them have.
    async Task AfterwardsAsync()
    {
        var names = Enumerable.Range(0, 8).Select(_ => NewName()).ToList();
        foreach (var name in names)
            await SendAsync(Body(name));
        foreach (var name in names)
            await StartedAsync(IncomingJobId(name));
    }

    Task<DeadInput> LetterAsync(string mark) => _queue.LetterAsync(mark);

    Task<List<DeadInput>> LettersAsync(string mark) => _queue.LettersAsync(mark);

    public sealed record ScoreMyTable(string JobId, string Model, TableOfMine Input);

    public sealed record TableOfMine(string Uri);
}
