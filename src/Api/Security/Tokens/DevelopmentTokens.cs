using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using ServiceDefaults.Secrets;

namespace Api.Security.Tokens;

/// <summary>
/// What <c>dotnet user-jwts</c> makes for whoever develops: tokens signed with a secret on this machine, as it writes them into the configuration
/// under <c>Authentication:Schemes:Bearer</c>. Only in Development.
/// </summary>
sealed record DevelopmentTokens(IReadOnlyList<byte[]> Keys, string Issuer, IReadOnlyList<string> Audiences)
{
    const string Section = "Authentication:Schemes:Bearer";
    const int LeastBytes = 32;

    public static readonly DevelopmentTokens None = new([], "", []);

    public bool Any => Keys.Count > 0;

    /// <exception cref="SecretException">There are keys, and this is not Development.</exception>
    public static DevelopmentTokens Read(IConfiguration configuration, IHostEnvironment environment)
    {
        var section = configuration.GetSection(Section);
        List<byte[]> keys = [];
        foreach (var key in section.GetSection("SigningKeys").GetChildren())
            if (key["Issuer"] == section["ValidIssuer"] && Decode(key["Value"]) is { Length: >= LeastBytes } bytes)
                keys.Add(bytes);
        if (keys.Count == 0)
            return None;
        if (!environment.IsDevelopment())
        {
            throw new SecretException(
                $"{Section}:SigningKeys", $"is set, and this is {environment.EnvironmentName}: whoever has such a key could make tokens for anybody, so they are for Development alone; remove them");
        }

        return new DevelopmentTokens(keys, section["ValidIssuer"]!, [.. section.GetSection("ValidAudiences").GetChildren().Select(a => a.Value).OfType<string>()]);
    }

    static byte[]? Decode(string? text)
    {
        var bytes = new byte[text?.Length ?? 0];
        return Convert.TryFromBase64String(text ?? "", bytes, out var length) ? bytes[..length] : null;
    }
}
