using System.Net.Http.Json;
using Api.Security;
using Npgsql;
using Sagas.BatchInference;
using Sagas.WorkLedger;

namespace Api.Tests.Security;

[CollectionDefinition(nameof(SecuredHost))]
public sealed class SecuredHostShared : ICollectionFixture<SecuredHost>;

/// <summary>The API with keys, and two tenants: <c>local</c>, which runs it and owns something of everything, and <c>acme</c>.</summary>
public class SecuredHost : ApiHost
{
    readonly Dictionary<(string Tenant, string? Scope), HttpClient> _clients = [];

    public Guid Job { get; private set; }
    public Guid DeadLetter { get; } = Guid.CreateVersion7();

    /// <summary>Id of a key of <c>local</c> that nobody uses.</summary>
    public string Key { get; private set; } = "";

    public string AdministratorKeyFile => Path.Combine(Root, "administrator.key");

    private protected override IReadOnlyDictionary<string, string?> Settings => new Dictionary<string, string?>
    {
        ["Authentication:ApiKeys:Enabled"] = "true",
        ["Authentication:ApiKeys:AdministratorKeyFile"] = AdministratorKeyFile,
    };

    public override async Task InitializeAsync()
    {
        await base.InitializeAsync();
        await Support.Eventually.TrueAsync(() => File.Exists(AdministratorKeyFile) && new FileInfo(AdministratorKeyFile).Length > 0, "the administrator's key");
        await Support.Eventually.TrueAsync(async () => await CountAsync("SELECT count(*) FROM sagas.api_keys") == 1, "its commit");
        _clients[("local", "admin")] = With((await File.ReadAllTextAsync(AdministratorKeyFile)).Trim());
        foreach (var tenant in new[] { "local", "acme" })
            foreach (var scope in new[] { "viewer", "operator", "admin" })
                if (!_clients.ContainsKey((tenant, scope)))
                    _clients[(tenant, scope)] = With((await CreateKeyAsync(tenant, scope)).Key);
        foreach (var tenant in new[] { "local", "acme" })
        {
            var (id, key) = await CreateKeyAsync(tenant, "viewer");
            await ExecuteAsync($"UPDATE sagas.api_keys SET scopes = ARRAY[]::text[] WHERE id = '{id}'");
            _clients[(tenant, null)] = With(key);
        }

        Key = (await CreateKeyAsync("local", "viewer")).Id;
        Job = await AddJobAsync(WorkJobState.Running, nameof(BatchJobStateMachine.Scoring), job => (job.InputRows, job.TotalUnits) = (10, 1));
        await AddUnitAsync(Job, 0, WorkUnitState.Running, 10);
        // Past the API: the tests of the audit count its rows.
        await ExecuteAsync($"INSERT INTO sagas.model_aliases VALUES ('local', 'risk', 'champion', '{Version}', now(), 'test')");
        await ExecuteAsync($"INSERT INTO sagas.model_alias_moves VALUES ('local', 'risk', 'champion', 1, NULL, '{Version}', now(), 'test', NULL, 'For a test.')");
        await ExecuteAsync($"INSERT INTO sagas.model_adapters VALUES ('local', 'risk', '{Version}', 'house', '{Version}', '{Uri(Models, $"{Version}.onnx_adapter")}', 1, now(), 'test')");
        await ExecuteAsync(
            $"INSERT INTO messaging.dead (id, queue, reason, message_type, content_type, body) VALUES ('{DeadLetter}', 'nowhere', 'refused', '', 'application/json', '{{}}')");
    }

    public override async Task DisposeAsync()
    {
        foreach (var client in _clients.Values)
            client.Dispose();
        await base.DisposeAsync();
    }

    /// <param name="scope">Null: a key that may do nothing.</param>
    public HttpClient As(string tenant, string? scope) => _clients[(tenant, scope)];

    internal HttpClient As(string tenant, Role role) => As(tenant, role.ToString().ToLowerInvariant());

    public HttpClient With(string? key)
    {
        var client = new HttpClient { BaseAddress = Client.BaseAddress, Timeout = TimeSpan.FromSeconds(30) };
        if (key is not null)
            client.DefaultRequestHeaders.Add("X-Api-Key", key);
        return client;
    }

    public async Task<(string Id, string Key)> CreateKeyAsync(string tenant, string scope, int? days = null)
    {
        using var response = await As("local", "admin").PostAsJsonAsync(
            "/api/v1/operations/api-keys", new { name = $"{tenant} {scope}", scopes = new[] { scope }, tenant, expiresInDays = days, reason = "For a test." });
        var body = await response.JsonAsync();
        ((int)response.StatusCode).ShouldBe(201, body.ToString());
        return (body.GetProperty("id").GetString()!, body.GetProperty("key").GetString()!);
    }

    /// <summary>As superuser, whom no policy binds.</summary>
    public async Task ExecuteAsync(string sql)
    {
        await using var source = NpgsqlDataSource.Create(ConnectionString);
        await using var command = source.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }

    public async Task<long> CountAsync(string sql)
    {
        await using var source = NpgsqlDataSource.Create(ConnectionString);
        await using var command = source.CreateCommand(sql);
        return (long)(await command.ExecuteScalarAsync())!;
    }
}
