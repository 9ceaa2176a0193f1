using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using Npgsql;

namespace Api.Tests.Security;

[Collection(nameof(SecuredHost)), Trait("Category", "Server")]
public sealed class ApiKeysTests(SecuredHost host)
{
    const string Keys = "/api/v1/operations/api-keys";
    const string Jobs = "/api/v1/batch-inference/jobs";

    [Fact]
    public async Task A_key_is_shown_once_and_kept_as_its_hash()
    {
        var (id, key) = await host.CreateKeyAsync("local", "viewer");
        key.ShouldMatch("^sgs_[A-Za-z0-9_-]{22}_[A-Za-z0-9_-]{43}$");

        (await host.As("local", "admin").GetStringAsync(Keys)).ShouldNotContain(key);
        (await host.As("local", "admin").GetStringAsync($"{Keys}/{id}")).ShouldNotContain(key);
        await using var source = NpgsqlDataSource.Create(host.ConnectionString);
        await using var command = source.CreateCommand($"SELECT sha256 FROM sagas.api_keys WHERE id = '{id}'");
        ((byte[])(await command.ExecuteScalarAsync())!).ShouldBe(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.ASCII.GetBytes(key)));
    }

    [Fact]
    public async Task It_opens_as_header_and_as_bearer_token()
    {
        var (_, key) = await host.CreateKeyAsync("local", "viewer");
        using var header = host.With(key);
        (await header.GetAsync(Jobs)).StatusCode.ShouldBe(HttpStatusCode.OK);
        using var bearer = host.With(null);
        bearer.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        (await bearer.GetAsync(Jobs)).StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Theory]
    [InlineData("")]
    [InlineData("sgs_")]
    [InlineData("sgs_AAAAAAAAAAAAAAAAAAAAAA_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    [InlineData("SGS_AAAAAAAAAAAAAAAAAAAAAA_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    [InlineData("sgs_AAAAAAAAAAAAAAAAAAAAA*_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    [InlineData("' OR 1=1 --")]
    public async Task What_is_no_key_opens_nothing(string text)
    {
        using var client = host.With(null);
        client.DefaultRequestHeaders.TryAddWithoutValidation("X-Api-Key", text);
        await (await client.GetAsync(Jobs)).ProblemAsync(401, "not_authenticated");
    }

    [Fact]
    public async Task A_right_id_with_a_wrong_secret_opens_nothing()
    {
        var (_, key) = await host.CreateKeyAsync("local", "viewer");
        using var right = host.With(key);
        (await right.GetAsync(Jobs)).StatusCode.ShouldBe(HttpStatusCode.OK);
        using var wrong = host.With(key[..^1] + (key[^1] == 'A' ? 'E' : 'A'));
        (await wrong.GetAsync(Jobs)).StatusCode.ShouldBe(HttpStatusCode.Unauthorized);
    }

    [Fact]
    public async Task Two_keys_in_one_request_open_nothing()
    {
        var (_, key) = await host.CreateKeyAsync("local", "viewer");
        using var client = host.With(null);
        using var two = new HttpRequestMessage(HttpMethod.Get, Jobs);
        two.Headers.Add("X-Api-Key", $"{key},{key}");
        (await client.SendAsync(two)).StatusCode.ShouldBe(HttpStatusCode.Unauthorized);
    }

    [Fact]
    public async Task A_revoked_key_opens_nothing_from_then_on_and_an_open_stream_ends()
    {
        var (id, key) = await host.CreateKeyAsync("local", "viewer");
        using var client = host.With(key);
        using var stream = await client.GetAsync($"{Jobs}/{host.Job}/events", HttpCompletionOption.ResponseHeadersRead);
        stream.StatusCode.ShouldBe(HttpStatusCode.OK);

        var revoked = await host.As("local", "admin").PostAsJsonAsync($"{Keys}/{id}/revoke", new { reason = "Lost." });
        (await revoked.JsonAsync()).GetProperty("revokedAt").GetDateTimeOffset().ShouldBeGreaterThan(DateTimeOffset.UnixEpoch);
        (await client.GetAsync(Jobs)).StatusCode.ShouldBe(HttpStatusCode.Unauthorized);
        // To its end, which only comes because the key has gone: the job goes on.
        (await stream.Content.ReadAsStringAsync().WaitAsync(TimeSpan.FromSeconds(20))).ShouldContain("data:");
        (await host.As("local", "admin").PostAsJsonAsync($"{Keys}/{id}/revoke", new { reason = "Again." })).StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public async Task A_key_past_its_end_opens_nothing()
    {
        var (id, key) = await host.CreateKeyAsync("local", "viewer", days: 1);
        await host.ExecuteAsync($"UPDATE sagas.api_keys SET expires_at = now() - interval '1 second' WHERE id = '{id}'");
        using var client = host.With(key);
        (await client.GetAsync(Jobs)).StatusCode.ShouldBe(HttpStatusCode.Unauthorized);
    }

    [Fact]
    public async Task Rotated_it_works_beside_its_successor_for_the_grace_time()
    {
        var (id, key) = await host.CreateKeyAsync("local", "operator");
        var rotated = await (await host.As("local", "admin").PostAsJsonAsync($"{Keys}/{id}/rotate", new { graceHours = 1, reason = "Every month." })).JsonAsync();
        using var old = host.With(key);
        using var successor = host.With(rotated.GetProperty("key").GetString());
        (await old.GetAsync(Jobs)).StatusCode.ShouldBe(HttpStatusCode.OK);
        (await successor.GetAsync(Jobs)).StatusCode.ShouldBe(HttpStatusCode.OK);
        rotated.GetProperty("scopes")[0].GetString().ShouldBe("operator");

        var view = await (await host.As("local", "admin").GetAsync($"{Keys}/{id}")).JsonAsync();
        view.GetProperty("rotatedTo").GetString().ShouldBe(rotated.GetProperty("id").GetString());
        (view.GetProperty("expiresAt").GetDateTimeOffset() - TimeProvider.System.GetUtcNow()).ShouldBeLessThan(TimeSpan.FromMinutes(61));
        await (await host.As("local", "admin").PostAsJsonAsync($"{Keys}/{id}/rotate", new { reason = "Twice." })).ProblemAsync(409, "api_key_ended");
    }

    [Fact]
    public async Task Rotated_without_grace_it_ends_at_once()
    {
        var (id, key) = await host.CreateKeyAsync("local", "viewer");
        using var old = host.With(key);
        (await old.GetAsync(Jobs)).StatusCode.ShouldBe(HttpStatusCode.OK);
        (await host.As("local", "admin").PostAsJsonAsync($"{Keys}/{id}/rotate", new { graceHours = 0, reason = "Lost." })).StatusCode.ShouldBe(HttpStatusCode.Created);
        (await old.GetAsync(Jobs)).StatusCode.ShouldBe(HttpStatusCode.Unauthorized);
    }

    [Fact]
    public async Task Only_the_owner_makes_keys_for_another_tenant()
    {
        var mine = new { name = "x", scopes = new[] { "viewer" }, reason = "For a test." };
        (await (await host.As("acme", "admin").PostAsJsonAsync(Keys, mine)).JsonAsync()).GetProperty("tenant").GetString().ShouldBe("acme");
        foreach (var other in new[] { "local", "globex" })
            (await (await host.As("acme", "admin").PostAsJsonAsync(Keys, new { mine.name, mine.scopes, tenant = other, mine.reason })).ProblemAsync(403, "forbidden")).ShouldContainKey("tenant");
    }

    [Fact]
    public async Task Every_bad_field_is_named_and_nothing_made()
    {
        var before = await host.CountAsync("SELECT count(*) FROM sagas.api_keys");
        var response = await host.As("local", "admin").PostAsJsonAsync(Keys, new { name = "", scopes = new[] { "root" }, expiresInDays = 0, tenant = "A/B", surplus = 1 });
        (await response.ProblemAsync(400, "invalid_request")).Keys.Order().ShouldBe(["expiresInDays", "name", "reason", "scopes", "surplus", "tenant"]);
        (await host.CountAsync("SELECT count(*) FROM sagas.api_keys")).ShouldBe(before);
    }

    [Fact]
    public async Task The_first_administrators_key_is_made_once_however_many_hosts_start()
    {
        File.GetUnixFileMode(host.AdministratorKeyFile).ShouldBe(UnixFileMode.UserRead | UnixFileMode.UserWrite);
        var written = await File.ReadAllTextAsync(host.AdministratorKeyFile);
        var apps = Enumerable.Range(0, 3).Select(_ => host.Build(host.ConnectionString)).ToList();
        await Task.WhenAll(apps.Select(app => app.StartAsync()));
        foreach (var app in apps)
        {
            // Each has looked by the time it has served somebody with the key.
            using var client = new HttpClient { BaseAddress = new Uri(app.Urls.First()) };
            client.DefaultRequestHeaders.Add("X-Api-Key", written.Trim());
            (await client.GetAsync(Jobs)).StatusCode.ShouldBe(HttpStatusCode.OK);
            await app.StopAsync();
            await app.DisposeAsync();
        }

        (await host.CountAsync("SELECT count(*) FROM sagas.api_keys WHERE name = 'first administrator'")).ShouldBe(1);
        (await File.ReadAllTextAsync(host.AdministratorKeyFile)).ShouldBe(written);
    }

    [Fact]
    public async Task Who_asked_for_a_job_is_kept_with_it()
    {
        var (id, key) = await host.CreateKeyAsync("local", "operator");
        using var client = host.With(key);
        var accepted = await client.PostAsJsonAsync(Jobs, new { model = "risk", input = new { uri = ApiHost.Uri(host.Inputs, "rows.parquet") } });
        ((int)accepted.StatusCode).ShouldBe(202, await accepted.Content.ReadAsStringAsync());
        var job = await (await client.GetAsync((await accepted.JsonAsync()).GetProperty("links").GetProperty("self").GetString())).JsonAsync();
        job.GetProperty("requestedBy").GetString().ShouldBe($"key:{id}");
    }

    [Fact]
    public async Task The_same_idempotency_key_of_two_tenants_is_two_requests()
    {
        await host.ExecuteAsync(
            "INSERT INTO sagas.models SELECT 'acme', name, version, uri, bytes, description, signature, rows_per_second, registered_at FROM sagas.models WHERE tenant = 'local' AND name = 'risk' ON CONFLICT DO NOTHING");
        var ids = new List<string>();
        foreach (var tenant in new[] { "local", "acme" })
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, Jobs)
            {
                Content = JsonContent.Create(new { model = "risk", input = new { uri = ApiHost.Uri(host.Inputs, "rows.parquet") } }),
                Headers = { { "Idempotency-Key", "same" } },
            };
            var response = await host.As(tenant, "operator").SendAsync(request);
            if (tenant == "local")
                ((int)response.StatusCode).ShouldBe(202);
            ids.Add(await response.Content.ReadAsStringAsync());
        }

        ids[0].ShouldNotBe(ids[1]);
    }
}
