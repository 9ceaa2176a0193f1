using System.Text.RegularExpressions;
using Contracts;

namespace Artifacts.Blobs;

/// <summary>
/// Which blobs are whose. A URI is judged here before any request is made; for one that leads elsewhere none ever is. Of the models root,
/// which tenants share, what is marked as somebody's is that tenant's alone, as in a folder.
/// </summary>
sealed partial class BlobPlaces
{
    const string ModelsSetting = "Artifacts:ModelsRoot";

    readonly Dictionary<string, BlobAccount> accounts;
    readonly Root[] roots;
    readonly string standard;
    readonly string homeTenant;

    public BlobPlaces(BlobOptions options, string homeTenant, string modelsRoot = "")
    {
        accounts = options.Accounts.ToDictionary(a => a.Key, a => new BlobAccount(a.Key, a.Value));
        roots = [.. Roots(options)];
        standard = options.DefaultAccount.Length > 0 ? options.DefaultAccount : accounts.Count == 1 ? accounts.Keys.Single() : "";
        this.homeTenant = homeTenant;
        Models = RemoteUri.Is(modelsRoot) ? Find(RemoteUri.Parse(modelsRoot, ModelsSetting), homeTenant, ArtifactAccess.Model, ModelsSetting) : null;
    }

    public bool Any => accounts.Count > 0;

    /// <summary>Where registered models are kept; null where that is no container.</summary>
    public BlobPlace? Models { get; }

    /// <summary>Whether an account that this tenant has something in answers there.</summary>
    /// <param name="tenant">Null: the platform itself, to which all belongs.</param>
    public bool Serves(RemoteUri uri, string? tenant, ArtifactAccess access) => AccountOf(uri, tenant, access) is not null;

    /// <summary>The blob, folder or container that a URI without a glob names.</summary>
    /// <exception cref="FailureException">It is not this tenant's, for this access.</exception>
    public BlobPlace Find(RemoteUri uri, string? tenant, ArtifactAccess access, string field) =>
        Find(uri, uri.Scheme == RemoteUri.Blob ? uri.Segments : [.. uri.Segments.Skip(AccountOf(uri, tenant, access)?.Segments.Count + 1 ?? 0)], tenant, access, field);

    /// <param name="names">Behind the container, as written; fewer than the URI has where the rest is a glob.</param>
    public BlobPlace Find(RemoteUri uri, IReadOnlyList<string> names, string? tenant, ArtifactAccess access, string field)
    {
        if (AccountOf(uri, tenant, access) is not { } account)
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
    public IReadOnlyList<string> Names(RemoteUri uri, string? tenant, ArtifactAccess access) =>
        uri.Scheme == RemoteUri.Blob ? uri.Segments : [.. uri.Segments.Skip((AccountOf(uri, tenant, access)?.Segments.Count ?? 0) + 1)];

    public bool Allows(BlobPlace place, string? tenant, ArtifactAccess access)
    {
        if (tenant is not null && MarkedName(place) is { } marked)
            return HasModels(access) && ArtifactPlaces.OwnerOf(marked) == tenant;
        return RootsOf(tenant, access).Any(root => root.Account == place.Account.Name && IsWithin(place.Path, root.Path));
    }

    /// <summary>A configured place itself, or what lies around one: no job's own.</summary>
    public bool IsShared(BlobPlace place) =>
        roots.Any(root => root.Account == place.Account.Name && IsWithin(root.Path, place.Path));

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

    /// <summary>What is wrong with a models root; null when nothing is, or it is a folder.</summary>
    /// <param name="options">With accounts that have no faults.</param>
    public static string? ModelsFault(ArtifactOptions options)
    {
        if (!RemoteUri.Is(options.ModelsRoot))
            return null;
        try
        {
            var uri = RemoteUri.Parse(options.ModelsRoot, ModelsSetting);
            var places = new BlobPlaces(options.Blob, options.HomeTenant);
            if (places.AccountAt(uri) is not { } account)
            {
                return options.Blob.Accounts.Count > 1 && uri.Scheme == RemoteUri.Blob
                    ? $"{ModelsSetting} is in the default storage account, and none of several is: set Artifacts:Blob:DefaultAccount, the same for each host."
                    : $"{ModelsSetting} is in a storage account that is not configured: set Artifacts:Blob:Accounts:{{name}}, for Api and every GpuWorker alike, or name a folder.";
            }
            var own = options.Blob.Accounts[account.Name].Tenants.GetValueOrDefault(options.HomeTenant)?.Models ?? [];
            if (own.Length == 0)
                return $"{ModelsSetting} is in the account {account.Name}, which has no place for models: set Artifacts:Blob:Accounts:{account.Name}:Tenants:{options.HomeTenant}:Models:0 to its container/prefix, for Api and every GpuWorker alike.";
            places.Find(uri, options.HomeTenant, ArtifactAccess.Model, ModelsSetting);
            return null;
        }
        catch (FailureException e)
        {
            return e.Message;
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

    BlobAccount? AccountAt(RemoteUri uri) =>
        uri.Scheme == RemoteUri.Blob ? accounts.GetValueOrDefault(standard) : accounts.Values.FirstOrDefault(a => a.Serves(uri));

    BlobAccount? AccountOf(RemoteUri uri, string? tenant, ArtifactAccess access)
    {
        // An account in which it has nothing does not exist for a tenant.
        return AccountAt(uri) is { } account
            && (RootsOf(tenant, ArtifactAccess.Read).Any(root => root.Account == account.Name) || (HasModels(access) && Models?.Account.Name == account.Name)) ? account : null;
    }

    static bool HasModels(ArtifactAccess access) => access is ArtifactAccess.Model or ArtifactAccess.Read;

    string? MarkedName(BlobPlace place) => Models is { } root && root.Account.Name == place.Account.Name && IsWithin(place.Path, root.Path)
        ? ArtifactPlaces.MarkedName(place.Path, root.Path)
        : null;

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
