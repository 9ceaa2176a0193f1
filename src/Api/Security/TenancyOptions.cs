using System.ComponentModel.DataAnnotations;

namespace Api.Security;

public sealed class TenancyOptions
{
    public const string Section = "Tenancy";

    /// <summary>The tenant of whoever runs the platform: what comes without a tenant is its own, and its operators see the platform as a
    /// whole. Default: <c>local</c>.</summary>
    [RegularExpression("^[a-z0-9][a-z0-9-]{0,63}$", ErrorMessage = "Tenancy:Home must be 1 to 64 lower-case letters, digits or dashes.")]
    public string Home { get; init; } = "local";
}
