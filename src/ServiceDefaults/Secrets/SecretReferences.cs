using System.Text.RegularExpressions;
using Azure;
using Azure.Core;
using Azure.Identity;
using Azure.Security.KeyVault.Secrets;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;

namespace ServiceDefaults.Secrets;

/// <summary>
/// Settings whose value is kept elsewhere: <c>@File(/run/secrets/pg)</c>, or <c>@Microsoft.KeyVault(SecretUri=https://…)</c> as Azure's own
/// services write it.
/// </summary>
public static partial class SecretReferences
{
    const int MostBytes = 64 * 1024;
    static readonly TimeSpan VaultTimeout = TimeSpan.FromSeconds(30);
    static readonly string[] VaultHosts = [".vault.azure.net", ".vault.azure.cn", ".vault.usgovcloudapi.net"];

    /// <summary>Replaces every reference by what it stands for, before anybody reads it. Without any, this costs a look at each setting.</summary>
    /// <param name="connect">How to reach a vault; null: as this machine's identity.</param>
    /// <exception cref="SecretException">One cannot be had, or a secret lies where it must not.</exception>
    public static void ResolveSecrets(this IHostApplicationBuilder builder, Func<Uri, SecretClient>? connect = null)
    {
        if (builder.Environment.IsProduction())
            SecretSources.Check(builder.Configuration);
        Dictionary<string, string?> found = [];
        foreach (var (setting, value) in builder.Configuration.AsEnumerable())
            if (value is not null && IsReference(value))
                found[setting] = Resolve(setting, value, connect ?? Connect);
        if (found.Count > 0)
            builder.Configuration.AddInMemoryCollection(found);
    }

    public static bool IsReference(string value) => value.StartsWith("@File(", StringComparison.Ordinal) || value.StartsWith("@Microsoft.KeyVault(", StringComparison.Ordinal);

    static string Resolve(string setting, string value, Func<Uri, SecretClient> connect)
    {
        if (FileForm().Match(value) is { Success: true } file)
            return ReadFile(setting, file.Groups["path"].Value);
        if (VaultForm().Match(value) is { Success: true } vault)
            return ReadVault(setting, vault, connect);
        throw new SecretException(setting, "is no reference that can be read: write @File(/path), @Microsoft.KeyVault(SecretUri=https://vault.vault.azure.net/secrets/name) or @Microsoft.KeyVault(VaultName=vault;SecretName=name)");
    }

    static string ReadFile(string setting, string path)
    {
        try
        {
            return new FileInfo(path) is { Exists: true, Length: > MostBytes }
                ? throw new SecretException(setting, $"names {path}, which is larger than {MostBytes} bytes")
                : File.ReadAllText(path).TrimEnd('\r', '\n');
        }
        catch (Exception e) when (e is (IOException or UnauthorizedAccessException) and not SecretException)
        {
            throw new SecretException(setting, $"names {path}, which cannot be read: {(e is UnauthorizedAccessException ? "this process may not" : "it is not there")}");
        }
    }

    static string ReadVault(string setting, Match reference, Func<Uri, SecretClient> connect)
    {
        var name = reference.Groups["vault"].Value;
        var text = reference.Groups["uri"].Success ? reference.Groups["uri"].Value : $"https://{name}.vault.azure.net/secrets/{reference.Groups["name"].Value}/{reference.Groups["version"].Value}";
        if (!Uri.TryCreate(text, UriKind.Absolute, out var uri) || uri.Scheme != Uri.UriSchemeHttps || !uri.IsDefaultPort
            || !VaultHosts.Any(host => uri.Host.EndsWith(host, StringComparison.OrdinalIgnoreCase))
            || !uri.AbsolutePath.StartsWith("/secrets/", StringComparison.Ordinal) || !KeyVaultSecretIdentifier.TryCreate(uri, out var secret))
            throw new SecretException(setting, "names no secret of a Key Vault: https://{vault}.vault.azure.net/secrets/{name}");
        using var limit = new CancellationTokenSource(VaultTimeout);
        try
        {
            return connect(secret.VaultUri).GetSecret(secret.Name, secret.Version, limit.Token).Value.Value;
        }
        catch (RequestFailedException e)
        {
            throw new SecretException(setting, $"names the secret {secret.Name} of {secret.VaultUri.Host}, which cannot be had: {Reason(e.Status)}");
        }
        catch (Exception e) when (e is AuthenticationFailedException or OperationCanceledException or AggregateException)
        {
            throw new SecretException(setting, $"names the secret {secret.Name} of {secret.VaultUri.Host}, which cannot be had: {(e is AuthenticationFailedException ? "this machine has no identity that Entra knows" : "the vault does not answer")}");
        }
    }

    static string Reason(int status) => status switch
    {
        0 => "the vault does not answer",
        401 or 403 => "this machine's identity may not read it",
        404 => "it is not there",
        _ => $"the vault answered {status}",
    };

    static SecretClient Connect(Uri vault) => new(vault, new DefaultAzureCredential(), new SecretClientOptions { Retry = { MaxRetries = 2, NetworkTimeout = TimeSpan.FromSeconds(10) } });

    [GeneratedRegex(@"\A@File\((?<path>/[^)\r\n]+)\)\z")]
    private static partial Regex FileForm();

    [GeneratedRegex(@"\A@Microsoft\.KeyVault\((SecretUri=(?<uri>https://[^;)\s]+)|VaultName=(?<vault>[A-Za-z0-9-]{3,24});SecretName=(?<name>[A-Za-z0-9-]{1,127})(;SecretVersion=(?<version>[A-Za-z0-9]{1,64}))?)\)\z")]
    private static partial Regex VaultForm();
}

/// <summary>Says which setting, and never what its value is.</summary>
public sealed class SecretException(string setting, string what) : IOException($"{setting} {what}.");
