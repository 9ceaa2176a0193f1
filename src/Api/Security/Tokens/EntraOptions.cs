using Microsoft.Extensions.Options;

namespace Api.Security.Tokens;

/// <summary>Bearer tokens of Microsoft Entra ID.</summary>
public sealed class EntraOptions
{
    public const string Section = "Authentication:Entra";

    static readonly string[] ManyTenants = ["organizations", "common"];

    /// <summary>A tenant's GUID, or <c>organizations</c> or <c>common</c> for those of <see cref="AllowedTenants"/>. Default: empty, no such tokens.</summary>
    public string TenantId { get; init; } = "";

    /// <summary>Whom a token must be for, exactly: the application's id, or <c>api://…</c> in tokens of version 1. At least one.</summary>
    public string[] Audiences { get; init; } = [];

    /// <summary>GUIDs of the tenants let in when <see cref="TenantId"/> names none.</summary>
    public string[] AllowedTenants { get; init; } = [];

    /// <summary>Where its keys are announced. Default: <c>https://login.microsoftonline.com/{TenantId}/v2.0</c>.</summary>
    public string Authority { get; init; } = "";

    /// <summary>Applications that may ask for a token (<c>azp</c>, <c>appid</c>). Default: none named, all may.</summary>
    public string[] ClientIds { get; init; } = [];

    /// <summary>What a person's token must be allowed to do, such as <c>access_as_user</c>. Default: empty, anything.</summary>
    public string RequiredScope { get; init; } = "";

    /// <summary>What a value of the claim <c>roles</c> stands for: <c>viewer</c>, <c>operator</c> or <c>admin</c>. The three names stand for themselves.</summary>
    public Dictionary<string, Role> Roles { get; init; } = [];

    /// <summary>What being in a group stands for, by the group's object id.</summary>
    public Dictionary<string, Role> Groups { get; init; } = [];

    /// <summary>How far clocks may differ. Default: 2 minutes.</summary>
    public TimeSpan ClockSkew { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>How long keys are believed without having been read again. Default: 12 hours.</summary>
    public TimeSpan KeysBelieved { get; init; } = TimeSpan.FromHours(12);

    /// <summary>Least time between two readings because of a key nobody knows. Default: 30 s.</summary>
    public TimeSpan RefreshPause { get; init; } = TimeSpan.FromSeconds(30);

    public bool IsConfigured => TenantId.Length > 0;

    internal bool HasManyTenants => ManyTenants.Contains(TenantId);

    internal Uri MetadataAddress => new($"{(Authority.Length > 0 ? Authority : $"https://login.microsoftonline.com/{TenantId}/v2.0").TrimEnd('/')}/.well-known/openid-configuration");

    /// <summary>Names every setting that is wrong at once.</summary>
    internal sealed class Validator : IValidateOptions<EntraOptions>
    {
        public ValidateOptionsResult Validate(string? name, EntraOptions options)
        {
            if (!options.IsConfigured)
                return ValidateOptionsResult.Success;
            List<string> wrong = [];
            if (!options.HasManyTenants && !Guid.TryParseExact(options.TenantId, "D", out _))
                wrong.Add("TenantId must be a GUID, or organizations or common");
            if (options.HasManyTenants && options.AllowedTenants.Length == 0)
                wrong.Add("AllowedTenants is missing: name the tenants let in");
            if (options.AllowedTenants.Any(tenant => !Guid.TryParseExact(tenant, "D", out _)))
                wrong.Add("AllowedTenants must be GUIDs");
            if (options.Audiences.Length == 0 || options.Audiences.Any(string.IsNullOrWhiteSpace))
                wrong.Add("Audiences is missing: name the application's id");
            if (options.Authority.Length > 0 && !(Uri.TryCreate(options.Authority, UriKind.Absolute, out var authority) && authority.Scheme == Uri.UriSchemeHttps))
                wrong.Add("Authority must be an https address");
            if (options.ClockSkew < TimeSpan.Zero || options.ClockSkew > TimeSpan.FromMinutes(10))
                wrong.Add("ClockSkew must be 0 to 10 minutes");
            if (options.KeysBelieved < TimeSpan.FromMinutes(5) || options.KeysBelieved > TimeSpan.FromDays(2))
                wrong.Add("KeysBelieved must be 5 minutes to 2 days");
            if (options.RefreshPause < TimeSpan.FromSeconds(1) || options.RefreshPause > TimeSpan.FromHours(1))
                wrong.Add("RefreshPause must be 1 second to 1 hour");
            return wrong.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail($"{Section}: {string.Join("; ", wrong)}.");
        }
    }
}
