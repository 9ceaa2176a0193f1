using Api.Tests.Security;

namespace Api.Tests.Edge;

[CollectionDefinition(nameof(LimitedHost))]
public sealed class LimitedHostShared : ICollectionFixture<LimitedHost>;

/// <summary>Keys are needed, and limits are narrow. Each test has an address, or keys and a tenant, of its own.</summary>
public sealed class LimitedHost : SecuredHost
{
    public const int CallerBurst = 60;
    public const int TenantBurst = 80;
    public const int StrangerBurst = 20;
    public const string Origin = "https://portal.example.com";

    readonly Dictionary<string, string> _keys = [];

    private protected override IReadOnlyDictionary<string, string?> Settings => new Dictionary<string, string?>(base.Settings)
    {
        ["Limits:CallerRequests"] = "1",
        ["Limits:CallerBurst"] = $"{CallerBurst}",
        ["Limits:TenantRequests"] = "1",
        ["Limits:TenantBurst"] = $"{TenantBurst}",
        ["Limits:StrangerRequests"] = "1",
        ["Limits:StrangerBurst"] = $"{StrangerBurst}",
        ["Limits:CallerStreams"] = "2",
        ["Limits:TenantStreams"] = "3",
        ["Limits:Proxies:0"] = "127.0.0.1",
        ["Cors:Origins:0"] = Origin,
    };

    public override async Task InitializeAsync()
    {
        await base.InitializeAsync();
        // Before a test has used up what the administrator may ask for.
        foreach (var (name, tenant) in new[]
                 {
                     ("fast", "fast-tenant"), ("colleague", "fast-tenant"), ("first", "crowd"), ("second", "crowd"), ("known", "known-tenant"), ("hasty", "hasty-tenant"),
                     ("viewer", "local"), ("other viewer", "local"), ("browser", "browser-tenant"),
                 })
            _keys[name] = (await CreateKeyAsync(tenant, "viewer")).Key;
    }

    /// <param name="key">A name of one above, a key that is none, or null for no key.</param>
    /// <param name="address">From which it seems to come.</param>
    public HttpClient From(string? key, string? address = null)
    {
        var client = With(key is null ? null : _keys.GetValueOrDefault(key, key));
        if (address is not null)
            client.DefaultRequestHeaders.Add("X-Forwarded-For", address);
        return client;
    }
}
