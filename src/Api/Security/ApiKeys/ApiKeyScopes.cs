namespace Api.Security.ApiKeys;

/// <summary>What a key may be used for: the roles by their names in lower case.</summary>
static class ApiKeyScopes
{
    public static readonly string[] All = [.. Enum.GetValues<Role>().Select(Of)];

    public static string Of(Role role) => role.ToString().ToLowerInvariant();

    public static Role? Highest(IEnumerable<string> scopes) =>
        scopes.Select(scope => Array.IndexOf(All, scope)).Where(index => index >= 0).Select(index => (Role?)(index + 1)).Max();
}
