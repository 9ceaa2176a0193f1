using System.Text.RegularExpressions;

namespace Contracts;

/// <summary>How a model is named where one is needed: <c>name</c>, <c>name@alias</c> or <c>name@sha256</c>.</summary>
/// <param name="Reference">A sha256, an alias or <c>latest</c>; null where the text names no version.</param>
public sealed partial record ModelName(string Name, string? Reference)
{
    /// <summary>The version registered last. Computed, so nobody can call a version so.</summary>
    public const string Latest = "latest";

    public const string Rule = "Must be 1 to 100 letters, digits, dots, dashes or underscores, and begin with a letter or digit.";

    /// <summary>Takes any text apart. Whether there is such a model is for the registry to say.</summary>
    public static ModelName Parse(string text) => text.Split('@', 2) is [var name, var reference] ? new(name, reference) : new(text, null);

    /// <summary>Whether a model or an adapter may be called so.</summary>
    public static bool IsName(string text) => Pattern().IsMatch(text);

    /// <summary>Whether a version may be called so: like a model, but like no version.</summary>
    public static bool IsAlias(string text) => IsName(text) && !IsReserved(text);

    public static bool IsReserved(string text) => text.Equals(Latest, StringComparison.OrdinalIgnoreCase) || IsSha256(text);

    public static bool IsSha256(string text) => Sha256().IsMatch(text);

    [GeneratedRegex(@"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}\z", RegexOptions.CultureInvariant)]
    private static partial Regex Pattern();

    [GeneratedRegex(@"^[0-9A-Fa-f]{64}\z", RegexOptions.CultureInvariant)]
    private static partial Regex Sha256();
}

/// <summary>How settings name a model of any tenant: a <see cref="ModelName"/>, with the tenant and a slash in front where it is not the home tenant's.</summary>
/// <param name="Tenant">Null for the home tenant.</param>
/// <param name="Reference">A sha256, an alias or <c>latest</c>; null for the version registered last.</param>
public sealed record TenantModel(string? Tenant, string Name, string? Reference)
{
    public const string Rule = "Must be name, name@alias or name@sha256, with tenant/ in front where it is another tenant's than the home tenant's.";

    /// <returns>Null where it names no model.</returns>
    public static TenantModel? TryParse(string text)
    {
        var (tenant, rest) = text.Split('/', 2) is [var owner, var model] ? (owner, model) : (null, text);
        var (name, reference) = ModelName.Parse(rest);
        return (tenant is null || TenantName.IsValid(tenant)) && ModelName.IsName(name) && (reference is null || ModelName.IsName(reference))
            ? new TenantModel(tenant, name, reference is not null && ModelName.IsSha256(reference) ? reference.ToLowerInvariant() : reference)
            : null;
    }

    public override string ToString() => $"{(Tenant is null ? "" : $"{Tenant}/")}{Name}{(Reference is null ? "" : $"@{Reference}")}";
}
