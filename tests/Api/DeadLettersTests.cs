using System.Net;
using System.Text.Json;
using MassTransit;
using Microsoft.EntityFrameworkCore;
using Support;

namespace Api.Tests;

/// <summary>On a host of its own: the other tests' failures leave letters too.</summary>
[Trait("Category", "Server")]
public sealed class DeadLettersTests(ApiHost host) : IClassFixture<ApiHost>, IAsyncLifetime
{
    const string Route = "/api/v1/operations/dead-letters";

    public Task InitializeAsync() => host.WithDbAsync(db => db.Database.ExecuteSqlRawAsync("DELETE FROM messaging.dead"));

    public Task DisposeAsync() => Task.CompletedTask;

    async Task<Guid> AddAsync(byte[] body, string queue = "somewhere", string reason = "error", string type = "urn:message:Any", int age = 0)
    {
        var id = NewId.NextGuid();
        await host.WithDbAsync(db => db.Database.ExecuteSqlAsync(
            $"""
            INSERT INTO messaging.dead (id, died_at, queue, reason, message_id, message_type, content_type, headers, body, attempts, error, stack)
            VALUES ({id}, now() - {age} * interval '1 s', {queue}, {reason}, {id}, {type}, 'application/vnd.masstransit+json', {"{}"}, {body}, 3, 'it broke', 'at once')
            """));
        return id;
    }

    async Task<JsonElement> GetAsync(string path) => await (await host.Client.GetAsync(path)).JsonAsync();

    [Fact]
    public async Task Show_what_died_where_and_why()
    {
        var id = await AddAsync("""{"message":{"n":1}}"""u8.ToArray());

        var list = await GetAsync(Route);
        var one = await GetAsync($"{Route}/{id}");

        foreach (var letter in new[] { list.GetProperty("deadLetters")[0], one })
        {
            letter.GetProperty("id").GetGuid().ShouldBe(id);
            letter.GetProperty("queue").GetString().ShouldBe("somewhere");
            letter.GetProperty("reason").GetString().ShouldBe("error");
            letter.GetProperty("error").GetString().ShouldBe("it broke");
            letter.GetProperty("stack").GetString().ShouldBe("at once");
            letter.GetProperty("messageTypes")[0].GetString().ShouldBe("urn:message:Any");
            letter.GetProperty("bodyBytes").GetInt32().ShouldBe(19);
            letter.GetProperty("body").GetProperty("message").GetProperty("n").GetInt32().ShouldBe(1);
        }

        list.TryGetProperty("next", out _).ShouldBeFalse();
    }

    [Fact]
    public async Task Show_a_body_as_JSON_else_as_text_and_never_as_garbage()
    {
        var binary = await AddAsync([0x7B, 0x00, 0xFF, 0xFE, 0x80]);
        var control = await AddAsync("a\0b"u8.ToArray());
        var broken = await AddAsync("""{"half":"\ud800"}"""u8.ToArray());
        var deep = await AddAsync([.. Enumerable.Repeat((byte)'[', 60), .. Enumerable.Repeat((byte)']', 60)]);
        var empty = await AddAsync([]);
        // Its first 4,096 bytes end within a letter.
        var large = await AddAsync([(byte)'"', .. System.Text.Encoding.UTF8.GetBytes(new string('é', 4000)), (byte)'"']);

        var list = (await GetAsync(Route)).GetProperty("deadLetters").EnumerateArray().ToDictionary(l => l.GetProperty("id").GetGuid());

        foreach (var id in new[] { binary, control })
        {
            list[id].TryGetProperty("body", out _).ShouldBeFalse();
            list[id].TryGetProperty("bodyText", out _).ShouldBeFalse();
        }

        list[broken].GetProperty("bodyText").GetString().ShouldBe("""{"half":"\ud800"}""");
        list[deep].GetProperty("bodyText").GetString()!.Length.ShouldBe(120);
        list[empty].GetProperty("bodyText").GetString().ShouldBe("");
        list[large].GetProperty("bodyText").GetString().ShouldBe("\"" + new string('é', 2047));
        (await GetAsync($"{Route}/{large}")).GetProperty("body").GetString()!.Length.ShouldBe(4000);
    }

    [Fact]
    public async Task Come_in_pages_and_by_queue_and_reason()
    {
        var ids = new List<Guid>();
        for (var age = 0; age < 7; age++)
            ids.Add(await AddAsync("{}"u8.ToArray(), queue: age % 2 == 0 ? "even" : "odd", reason: age == 3 ? "skipped" : "error", age: age));

        var seen = new List<Guid>();
        for (string? next = ""; next is not null;)
        {
            var page = await GetAsync($"{Route}?limit=3{(next.Length > 0 ? $"&after={next}" : "")}");
            seen.AddRange(page.GetProperty("deadLetters").EnumerateArray().Select(l => l.GetProperty("id").GetGuid()));
            next = page.TryGetProperty("next", out var more) ? more.GetString() : null;
            await AddAsync("{}"u8.ToArray(), age: -1 - seen.Count);
        }

        seen.ShouldBe(ids);
        (await GetAsync($"{Route}?queue=odd")).GetProperty("deadLetters").GetArrayLength().ShouldBe(3);
        (await GetAsync($"{Route}?queue=odd&reason=skipped")).GetProperty("deadLetters")[0].GetProperty("id").GetGuid().ShouldBe(ids[3]);
    }

    [Theory]
    [InlineData("?limit=0", "limit", "out_of_range")]
    [InlineData("?limit=101", "limit", "out_of_range")]
    [InlineData("?reason=boredom", "reason", "out_of_range")]
    [InlineData("?after=nowhere", "after", "invalid_text")]
    [InlineData("?queue=%00", "queue", "invalid_text")]
    public async Task Name_the_parameter_that_makes_no_sense(string query, string field, string code) =>
        (await (await host.Client.GetAsync(Route + query)).ProblemAsync(400, "invalid_request")).ShouldContainKeyAndValue(field, code);

    [Fact]
    public async Task Are_requeued_once_and_then_not_to_be_found()
    {
        // Of a queue that is there; nobody knows the message, so that it comes back as another letter.
        var id = await AddAsync(
            """{"messageId":"7f000000-0000-0000-0000-000000000001","messageType":["urn:message:Nobody:Knows"],"message":{}}"""u8.ToArray(), queue: "dead-letters-test-recorder");

        var answer = await host.Client.PostAsync($"{Route}/{id}/requeue", null);
        answer.StatusCode.ShouldBe(HttpStatusCode.Accepted);
        var body = await answer.JsonAsync();
        body.GetProperty("messageId").GetGuid().ShouldBe(id);
        body.GetProperty("destination").GetString().ShouldBe("exchange:dead-letters-test-recorder");

        await (await host.Client.PostAsync($"{Route}/{id}/requeue", null)).ProblemAsync(404, "dead_letter_not_found");
        await (await host.Client.GetAsync($"{Route}/{id}")).ProblemAsync(404, "dead_letter_not_found");
        await Eventually.TrueAsync(async () => await host.WithDbAsync(
            db => db.Database.SqlQuery<int>($"""SELECT count(*)::int AS "Value" FROM messaging.outbox""").SingleAsync()) == 0, "it to be sent");
        (await GetAsync("/api/v1/operations/invariants")).GetProperty("dueOutboxAgeSeconds").GetInt64().ShouldBe(0);
    }
}
