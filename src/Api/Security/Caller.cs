using System.Security.Claims;

namespace Api.Security;

/// <summary>What a role may do includes what those before it may.</summary>
public enum Role
{
    /// <summary>Sees the tenant's jobs, models and results.</summary>
    Viewer = 1,

    /// <summary>Starts, cancels, registers, and mends what went wrong.</summary>
    Operator = 2,

    /// <summary>Gives and takes keys, reads the audit.</summary>
    Admin = 3,
}

/// <summary>
/// Who asks, and for which tenant. Every way of authentication ends in one of these, and nothing else of a token or key is used
/// afterwards.
/// </summary>
/// <param name="Tenant">Whose rows it sees: the token's <c>tid</c> or the key's tenant. Never a parameter of the request.</param>
/// <param name="Id">Stable and unique: <c>key:{id}</c>, <c>user:{oid}</c>, <c>app:{oid}</c>, or <c>local</c>.</param>
/// <param name="Name">For people, in lists and the audit. Proves nothing.</param>
/// <param name="Role">The highest it has; null when it has none, and may then do nothing.</param>
/// <param name="ExpiresAt">When its token or key ends; open streams end with it.</param>
public sealed record Caller(string Tenant, string Id, string? Name, Role? Role, DateTimeOffset? ExpiresAt)
{
    /// <summary>The platform itself, for what nobody asked for.</summary>
    internal static Caller Platform(string tenant) => new(tenant, "platform", null, null, null);

    public ClaimsPrincipal ToPrincipal(string scheme) => new(new Identity(this, scheme));

    /// <returns>Null for somebody who is not authenticated.</returns>
    public static Caller? Of(ClaimsPrincipal user) => (user.Identity as Identity)?.Caller;

    // Asked for several times in each request: no claims, to be written and read as text.
    sealed class Identity(Caller caller, string scheme) : ClaimsIdentity(scheme)
    {
        public Caller Caller => caller;

        public override string? Name => caller.Name;

        public override ClaimsIdentity Clone() => new Identity(caller, AuthenticationType!);
    }
}
