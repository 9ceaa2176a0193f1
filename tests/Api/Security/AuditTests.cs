using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.EntityFrameworkCore;

namespace Api.Tests.Security;

/// <summary>A host to each test: whoever alters the audit spoils it for the others.</summary>
[Trait("Category", "Server")]
public sealed class AuditTests : IAsyncLifetime
{
    readonly SecuredHost _host = new();

    public Task InitializeAsync() => _host.InitializeAsync();

    public Task DisposeAsync() => _host.DisposeAsync();

    [Fact]
    public async Task What_was_done_is_written_with_who_and_why_and_verifies()
    {
        var response = await _host.As("local", "operator").PostAsJsonAsync($"/api/v1/batch-inference/jobs/{_host.Job}/cancel", new { reason = "Wrong file: ünï 🚀." });
        ((int)response.StatusCode).ShouldBe(202);

        var entry = (await ListAsync("?action=batch-job.cancel"))[0];
        entry.GetProperty("subject").GetString().ShouldBe(_host.Job.ToString());
        entry.GetProperty("reason").GetString().ShouldBe("Wrong file: ünï 🚀.");
        entry.GetProperty("actor").GetString().ShouldStartWith("key:");
        entry.GetProperty("actorName").GetString().ShouldBe("local operator");
        var verdict = await VerifyAsync();
        verdict.GetProperty("ok").GetBoolean().ShouldBeTrue(verdict.ToString());
        verdict.GetProperty("head").GetProperty("hash").GetString().ShouldBe(entry.GetProperty("hash").GetString());
        (await VerifyAsync("acme")).GetProperty("entries").GetInt64().ShouldBe(4);
    }

    [Fact]
    public async Task What_interferes_needs_a_reason()
    {
        foreach (var path in new[] { $"batch-inference/jobs/{_host.Job}/cancel", $"operations/dead-letters/{_host.DeadLetter}/requeue", $"operations/api-keys/{_host.Key}/revoke", $"operations/api-keys/{_host.Key}/rotate" })
            foreach (var reason in new[] { null, "", "  " })
                (await (await _host.As("local", "admin").PostAsJsonAsync($"/api/v1/{path}", new { reason })).ProblemAsync(400, "field_missing")).ShouldContainKey("reason");
        (await ListAsync("?limit=200")).Select(e => e.GetProperty("action").GetString()).Distinct().ShouldBe(["api-key.create"]);
    }

    [Theory]
    [InlineData("UPDATE sagas.audit_entries SET reason = 'Another.' WHERE tenant = 'local' AND seq = 3", 3, "altered")]
    [InlineData("UPDATE sagas.audit_entries SET actor_name = NULL WHERE tenant = 'local' AND seq = 2", 2, "altered")]
    [InlineData("UPDATE sagas.audit_entries SET at = at + interval '1 microsecond' WHERE tenant = 'local' AND seq = 4", 4, "altered")]
    [InlineData("UPDATE sagas.audit_entries SET hash = sha256(hash) WHERE tenant = 'local' AND seq = 2", 2, "altered")]
    [InlineData("DELETE FROM sagas.audit_entries WHERE tenant = 'local' AND seq = 3", 3, "missing")]
    [InlineData("DELETE FROM sagas.audit_entries WHERE tenant = 'local' AND seq = 1", 1, "missing")]
    [InlineData("DELETE FROM sagas.audit_entries WHERE tenant = 'local' AND seq = 5", 5, "missing")]
    [InlineData("DELETE FROM sagas.audit_entries WHERE tenant = 'local' AND seq > 3", 4, "missing")]
    [InlineData("UPDATE sagas.audit_entries SET seq = -seq WHERE tenant = 'local' AND seq IN (2, 4); UPDATE sagas.audit_entries SET seq = CASE seq WHEN -2 THEN 4 ELSE 2 END WHERE tenant = 'local' AND seq < 0", 2, "altered")]
    [InlineData("UPDATE sagas.audit_heads SET hash = sha256(hash) WHERE tenant = 'local'", 5, "altered")]
    public async Task A_row_that_was_altered_deleted_or_moved_is_named(string how, long seq, string finding)
    {
        (await VerifyAsync()).GetProperty("head").GetProperty("seq").GetInt64().ShouldBe(5);

        await AlterAsync(how);
        var verdict = await VerifyAsync();
        verdict.GetProperty("ok").GetBoolean().ShouldBeFalse();
        verdict.GetProperty("firstAltered").GetProperty("seq").GetInt64().ShouldBe(seq);
        verdict.GetProperty("firstAltered").GetProperty("finding").GetString().ShouldBe(finding);
        (await VerifyAsync("acme")).GetProperty("ok").GetBoolean().ShouldBeTrue();
    }

    [Fact]
    public async Task A_row_put_behind_the_end_is_named()
    {
        await AlterAsync("INSERT INTO sagas.audit_entries SELECT tenant, seq + 1, at, actor, actor_name, action, subject, reason, trace, hash, sha256(hash) FROM sagas.audit_entries WHERE tenant = 'local' AND seq = 5");
        var first = (await VerifyAsync()).GetProperty("firstAltered");
        (first.GetProperty("seq").GetInt64(), first.GetProperty("finding").GetString()).ShouldBe((6, "surplus"));
    }

    [Fact]
    public async Task An_audit_written_anew_does_not_pass_whoever_kept_its_head()
    {
        var head = (await VerifyAsync()).GetProperty("head");
        await AlterAsync(
            """
            CREATE TABLE copy AS SELECT * FROM sagas.audit_entries WHERE tenant = 'local' ORDER BY seq;
            DELETE FROM sagas.audit_entries WHERE tenant = 'local'; DELETE FROM sagas.audit_heads WHERE tenant = 'local';
            SET sagas.tenant = 'local';
            SELECT sagas.append_audit(actor, actor_name, action, subject, 'Another.', trace) FROM (SELECT * FROM copy ORDER BY seq) c;
            """);
        (await VerifyAsync()).GetProperty("ok").GetBoolean().ShouldBeTrue();
        var verdict = await VerifyAsync(body: head);
        verdict.GetProperty("firstAltered").GetProperty("seq").GetInt64().ShouldBe(5);
        (await VerifyAsync(body: new { seq = 12, hash = head.GetProperty("hash").GetString() })).GetProperty("firstAltered").GetProperty("finding").GetString().ShouldBe("missing");
    }

    [Fact]
    public async Task Even_its_owner_cannot_change_it_in_passing()
    {
        foreach (var how in new[] { "UPDATE sagas.audit_entries SET reason = ''", "DELETE FROM sagas.audit_entries", "TRUNCATE sagas.audit_entries" })
            (await Should.ThrowAsync<Npgsql.PostgresException>(() => _host.ExecuteAsync(how), how)).MessageText.ShouldContain("only ever added to");
    }

    [Fact]
    public async Task Many_at_once_leave_no_gap()
    {
        await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => _host.CreateKeyAsync("local", "viewer")));
        var verdict = await VerifyAsync();
        verdict.GetProperty("ok").GetBoolean().ShouldBeTrue(verdict.ToString());
        verdict.GetProperty("entries").GetInt64().ShouldBe(25);
    }

    [Fact]
    public async Task It_is_listed_page_by_page()
    {
        var first = await (await _host.As("local", "admin").GetAsync("/api/v1/operations/audit?limit=2")).JsonAsync();
        first.GetProperty("entries").EnumerateArray().Select(e => e.GetProperty("seq").GetInt64()).ShouldBe([5, 4]);
        (await ListAsync($"?limit=2&before={first.GetProperty("next").GetInt64()}")).Select(e => e.GetProperty("seq").GetInt64()).ShouldBe([3, 2]);
        (await (await _host.As("local", "admin").GetAsync("/api/v1/operations/audit?limit=0")).ProblemAsync(400, "invalid_request")).ShouldContainKey("limit");
        (await (await _host.As("local", "admin").PostAsJsonAsync("/api/v1/operations/audit/verify", new { seq = 0, hash = "x" })).ProblemAsync(400, "invalid_request")).Keys.ShouldBe(["seq", "hash"]);
    }

    // As a superuser who means harm.
    Task AlterAsync(string how) => _host.ExecuteAsync(
        $"ALTER TABLE sagas.audit_entries DISABLE TRIGGER USER; {how}; ALTER TABLE sagas.audit_entries ENABLE TRIGGER USER");

    async Task<JsonElement> VerifyAsync(string tenant = "local", object? body = null)
    {
        var response = await _host.As(tenant, "admin").PostAsJsonAsync("/api/v1/operations/audit/verify", body ?? new { });
        ((int)response.StatusCode).ShouldBe(200);
        return await response.JsonAsync();
    }

    async Task<IReadOnlyList<JsonElement>> ListAsync(string query) =>
        [.. (await (await _host.As("local", "admin").GetAsync($"/api/v1/operations/audit{query}")).JsonAsync()).GetProperty("entries").EnumerateArray()];
}
