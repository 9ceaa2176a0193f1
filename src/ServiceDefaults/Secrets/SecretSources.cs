using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Configuration.Json;

namespace ServiceDefaults.Secrets;

/// <summary>In Production no secret lies in a settings file: those are in images, repositories and backups.</summary>
static class SecretSources
{
    static readonly string[] Endings = ["Password", "Secret", "ConnectionString", "AccountKey", "SharedAccessKey", "SasToken", "ApiKey", "SigningKey"];
    static readonly string[] Parts = ["password=", "pwd=", "accountkey=", "sharedaccesskey=", "sharedaccesssignature="];

    /// <exception cref="SecretException">One does.</exception>
    public static void Check(IConfigurationManager configuration)
    {
        var providers = ((IConfigurationRoot)configuration).Providers.Reverse().ToList();
        foreach (var (setting, value) in configuration.AsEnumerable())
        {
            if (value is not { Length: > 0 } || !IsSecret(setting, value) || SecretReferences.IsReference(value))
                continue;
            if (providers.First(provider => provider.TryGet(setting, out _)) is JsonConfigurationProvider { Source.Path: { } file })
                throw new SecretException(setting, $"is a secret, and comes from {file}: in Production give it as an environment variable, or write @File(…) or @Microsoft.KeyVault(…) there");
        }
    }

    static bool IsSecret(string setting, string value) =>
        Endings.Any(ending => setting.EndsWith(ending, StringComparison.OrdinalIgnoreCase))
        || (setting.Contains(":SigningKeys:", StringComparison.OrdinalIgnoreCase) && setting.EndsWith(":Value", StringComparison.OrdinalIgnoreCase))
        || Parts.Any(part => value.Replace(" ", "", StringComparison.Ordinal).Contains(part, StringComparison.OrdinalIgnoreCase));
}
