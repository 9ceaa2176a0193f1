using System.Text.RegularExpressions;
using Contracts;

namespace Artifacts.Blobs;

/// <summary>Which blobs are whose. A URI is judged here before any request is made; for one that leads elsewhere none ever is.</summary>
sealed partial class BlobPlaces
{
    readonly Dictionary<string, BlobAccount> accounts;
    readonly Root[] roots;
    readonly string standard;
    readonly string homeTenant;

    public BlobPlaces(BlobOptions options, string homeTenant)
    {
        accounts = options.Accounts.ToDictionary(a => a.Key, a => new BlobAccount(a.Key, a.Value));
        roots = [.. Roots(options)];
        standard = options.DefaultAccount.Length > 0 ? options.DefaultAccount : accounts.Count == 1 ? accounts.Keys.Single() : "";
        this.homeTenant = homeTenant;
    }

    public bool Any => accounts.Count > 0;

    /// <summary>Whether an account that this tenant has something in answers there.</summary>
    /// <param name="tenant">Null: the platform itself, to which all belongs.</param>
    public bool Serves(RemoteUri uri, string? tenant) => AccountOf(uri, tenant) is not null;

    /// <summary>The blob, folder or container that a URI without a glob names.</summary>
    /// <exception cref="FailureException">It is not this tenant's, for this access.</exception>
    public BlobPlace Find(RemoteUri uri, string? tenant, ArtifactAccess access, string field) =>
        Find(uri, uri.Scheme == RemoteUri.Blob ? uri.Segments : [.. uri.Segments.Skip(AccountOf(uri, tenant)?.Segments.Count + 1 ?? 0)], tenant, access, field);

    /// <param name="names">Behind the container, as written; fewer than the URI has where the rest is a glob.</param>
    public BlobPlace Find(RemoteUri uri, IReadOnlyList<string> names, string? tenant, ArtifactAccess access, string field)
    {
        if (AccountOf(uri, tenant) is not { } account)
            throw FileUri.Refuse("uri_host_not_allowed", field, uri.Scheme == RemoteUri.Blob
                ? "There is no default storage account; give https://account.blob.core.windows.net/container/name."
                : "The host is neither a storage account of yours nor one that inputs may come from; ask the operator which are.");
        var container = uri.Scheme == RemoteUri.Blob ? uri.Authority : uri.Segments.ElementAtOrDefault(account.Segments.Count);
        if (container is null || !ContainerForm().IsMatch(container))
            throw FileUri.Refuse("uri_invalid", field, "It names no container: 3 to 63 small letters, digits and single hyphens.");
        var place = new BlobPlace(account, container, string.Join('/', names.Select(s => FileUri.Decode(s, field))));
        return Allows(place, tenant, access) ? place : throw FileUri.Refuse(
            "path_outside_roots", field, $"{place.Container}/{place.Name} is not within what is allowed for this{Advice(tenant, access)}.");
    }

    /// <summary>Names behind the container, as written.</summary>
    public IReadOnlyList<string> Names(RemoteUri uri, string? tenant) =>
        uri.Scheme == RemoteUri.Blob ? uri.Segments : [.. uri.Segments.Skip((AccountOf(uri, tenant)?.Segments.Count ?? 0) + 1)];

    public bool Allows(BlobPlace place, string? tenant, ArtifactAccess access) =>
        RootsOf(tenant, access).Any(root => root.Account == place.Account.Name && IsWithin($"{place.Container}/{place.Name}", root.Path));

    /// <summary>A configured place itself, or what lies around one: no job's own.</summary>
    public bool IsShared(BlobPlace place) =>
        roots.Any(root => root.Account == place.Account.Name && IsWithin(root.Path, $"{place.Container}/{place.Name}"));

    public static IEnumerable<string> Faults(BlobOptions options)
    {
        foreach (var (name, account) in options.Accounts)
        {
            var setting = $"Artifacts:Blob:Accounts:{name}";
            if (Fault(account) is { } fault)
                yield return $"{setting}: {fault}";
            foreach (var (tenant, places) in account.Tenants)
            {
                if (!TenantName.IsValid(tenant))
                    yield return $"{setting}:Tenants:{tenant} names no tenant; a tenant's name is {TenantName.Rule}.";
                foreach (var place in places.Inputs.Concat(places.Outputs).Concat(places.Models).Where(place => !IsPlace(place)))
                    yield return $"{setting}:Tenants:{tenant}: {place} is no container or container/prefix.";
            }
        }
        if (options.DefaultAccount.Length > 0 && !options.Accounts.ContainsKey(options.DefaultAccount))
            yield return $"Artifacts:Blob:DefaultAccount is {options.DefaultAccount}, and there is no such account.";

        var roots = Roots(options).ToList();
        foreach (var root in roots)
        {
            // Several tenants may read the same; whoever writes into another's place could make up what is scored there.
            var other = roots.FirstOrDefault(o => o.Account == root.Account && o.Tenant != root.Tenant && IsWithin(o.Path, root.Path)
                && !(o.Path == root.Path && o.Access == ArtifactAccess.Input && root.Access == ArtifactAccess.Input));
            if (other is not null)
                yield return $"Artifacts:Blob:Accounts:{root.Account}:Tenants: {other.Path} of {other.Tenant} lies within {root.Path} of {root.Tenant}; two tenants share a place only as an input of both.";
        }
    }

    static string? Fault(BlobAccountOptions account)
    {
        var credentials = new[] { account.ConnectionString, account.SasToken, account.Identity }.Count(c => c.Length > 0);
        if (credentials != 1)
            return "exactly one of ConnectionString, SasToken and Identity is needed.";
        if (account.ConnectionString.Length > 0)
        {
            if (account.Endpoint.Length > 0)
                return "the connection string says where it is; Endpoint is for SasToken and Identity.";
            if (account.ConnectionString.Contains("SharedAccessSignature", StringComparison.OrdinalIgnoreCase))
                return "a shared access signature is given as Endpoint and SasToken, not as a connection string.";
            try
            {
                _ = new BlobAccount("", account);
            }
            catch (FormatException)
            {
                return "ConnectionString cannot be read; take it from the account's access keys.";
            }
            return null;
        }
        return Uri.TryCreate(account.Endpoint, UriKind.Absolute, out var uri) && uri is { UserInfo: "", Query: "", Fragment: "" }
            && (uri.Scheme == Uri.UriSchemeHttps || (uri.Scheme == Uri.UriSchemeHttp && uri.IsLoopback && account.Identity.Length == 0))
            ? null
            : "Endpoint is https://{account}.blob.core.windows.net or the like, without a query; http only on this machine, and never with Identity.";
    }

    BlobAccount? AccountOf(RemoteUri uri, string? tenant)
    {
        var account = uri.Scheme == RemoteUri.Blob ? accounts.GetValueOrDefault(standard) : accounts.Values.FirstOrDefault(a => a.Serves(uri));
        // An account in which it has nothing does not exist for a tenant.
        return account is not null && RootsOf(tenant, ArtifactAccess.Read).Any(root => root.Account == account.Name) ? account : null;
    }

    IEnumerable<Root> RootsOf(string? tenant, ArtifactAccess access) =>
        roots.Where(root => (tenant is null || root.Tenant == tenant) && (access == ArtifactAccess.Read || root.Access == access));

    string Advice(string? tenant, ArtifactAccess access)
    {
        if (tenant is not null && RootsOf(tenant, access).Select(root => root.Path).ToList() is { Count: > 0 } own)
            return $"; give {string.Join(" or ", own)}, or what lies below";
        return tenant is null || tenant == homeTenant ? "; ask the operator which are (Artifacts:Blob:Accounts)" : "; ask the operator which are";
    }

    static IEnumerable<Root> Roots(BlobOptions options) =>
        from account in options.Accounts
        from tenant in account.Value.Tenants
        from root in tenant.Value.Inputs.Select(path => (Path: path, Access: ArtifactAccess.Input))
            .Concat(tenant.Value.Outputs.Select(path => (Path: path, Access: ArtifactAccess.Output)))
            .Concat(tenant.Value.Models.Select(path => (Path: path, Access: ArtifactAccess.Model)))
        select new Root(account.Key, tenant.Key, root.Path.TrimEnd('/'), root.Access);

    static bool IsPlace(string place) =>
        place.TrimEnd('/').Split('/') is [var container, .. var names] && ContainerForm().IsMatch(container)
        && names.All(name => name.Length > 0 && name is not ("." or "..") && !name.Any(char.IsControl));

    static bool IsWithin(string path, string root) => RealPath.IsWithin(path.TrimEnd('/'), root.TrimEnd('/'));

    sealed record Root(string Account, string Tenant, string Path, ArtifactAccess Access);

    [GeneratedRegex(@"\A(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]\z")]
    private static partial Regex ContainerForm();
}
