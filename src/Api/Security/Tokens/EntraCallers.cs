using Microsoft.Extensions.Options;

namespace Api.Security.Tokens;

/// <summary>From what a token of Entra says, once its signature is known to be right, to whoever calls. Whoever checks the signature, this does not change.</summary>
sealed class EntraCallers(IOptions<EntraOptions> options, TimeProvider clock)
{
    /// <param name="issuer">As the keys' metadata have it, <c>{tenantid}</c> where it is each tenant's own.</param>
    public (Caller? Caller, TokenFault Fault) Find(TokenClaims claims, string issuer)
    {
        var entra = options.Value;
        if (!Guid.TryParseExact(claims.TenantId, "D", out var tenant))
            return (null, claims.Issuer is null ? TokenFault.IssuerWrong : TokenFault.TenantNotAllowed);
        if (claims.Issuer is null || claims.Issuer != issuer.Replace("{tenantid}", claims.TenantId, StringComparison.Ordinal))
            return (null, TokenFault.IssuerWrong);
        if (!Allowed(entra).Any(allowed => Guid.Parse(allowed) == tenant))
            return (null, TokenFault.TenantNotAllowed);
        if (!claims.Audiences.Intersect(entra.Audiences, StringComparer.Ordinal).Any())
            return (null, TokenFault.AudienceWrong);
        if (CheckTime(claims, entra.ClockSkew, clock.GetUtcNow()) is not TokenFault.None and var late)
            return (null, late);

        var isApplication = claims.Kind == "app" || claims.Scopes is null;
        if (entra.ClientIds.Length > 0 && !entra.ClientIds.Contains(claims.Client))
            return (null, TokenFault.ClientNotAllowed);
        if (!isApplication && entra.RequiredScope.Length > 0 && !claims.Scopes!.Contains(entra.RequiredScope))
            return (null, TokenFault.ScopeMissing);
        // Never by a mail address or a name: those change hands.
        if (!Guid.TryParseExact(claims.ObjectId, "D", out var who))
            return (null, TokenFault.IdentityMissing);
        var id = $"{(isApplication ? "app" : "user")}:{who:D}";
        return (new Caller($"{tenant:D}", id, claims.Name ?? claims.Client, RoleOf(claims, entra), claims.ExpiresAt), TokenFault.None);
    }

    public static TokenFault CheckTime(TokenClaims claims, TimeSpan skew, DateTimeOffset now) =>
        claims.ExpiresAt is not { } end ? TokenFault.ExpiryMissing
        : now >= end + skew ? TokenFault.Expired
        : claims.NotBefore is { } start && now < start - skew ? TokenFault.NotYetValid
        : TokenFault.None;

    /// <returns>The highest that one of the roles stands for by its own name.</returns>
    public static Role? Named(IEnumerable<string> roles) => Highest(roles.Select(role => role switch
    {
        "viewer" => Role.Viewer,
        "operator" => Role.Operator,
        "admin" => Role.Admin,
        _ => (Role?)null,
    }));

    static string[] Allowed(EntraOptions entra) => entra.HasManyTenants ? entra.AllowedTenants : [entra.TenantId];

    static Role? RoleOf(TokenClaims claims, EntraOptions entra) => Highest(
    [
        Named(claims.Roles.Where(role => !entra.Roles.ContainsKey(role))),
        .. claims.Roles.Select(role => entra.Roles.TryGetValue(role, out var found) ? found : (Role?)null),
        .. claims.Groups.Select(group => entra.Groups.TryGetValue(group, out var found) ? found : (Role?)null),
    ]);

    static Role? Highest(IEnumerable<Role?> roles) => roles.Max();
}
