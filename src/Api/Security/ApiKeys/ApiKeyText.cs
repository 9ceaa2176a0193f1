using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace Api.Security.ApiKeys;

/// <summary>A key as its owner has it: <c>sgs_{id}_{secret}</c>, of 128 and 256 random bits. The prefix lets scanners find lost ones.</summary>
public static class ApiKeyText
{
    public const string Header = "X-Api-Key";

    const string Prefix = "sgs_";
    const string Bearer = "Bearer ";
    const int IdBytes = 16, SecretBytes = 32;
    const int IdLength = 22, SecretLength = 43;
    const int Length = 4 + IdLength + 1 + SecretLength;

    public static (string Id, string Text) Generate()
    {
        var id = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(IdBytes));
        return (id, $"{Prefix}{id}_{Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(SecretBytes))}");
    }

    public static byte[] Hash(string text) => SHA256.HashData(Encoding.ASCII.GetBytes(text));

    /// <summary>What a request shows as its key, right or wrong: in <c>X-Api-Key</c>, or as a bearer token that looks like one.</summary>
    public static string? Find(IHeaderDictionary headers)
    {
        if (headers.TryGetValue(Header, out var values))
            return values is [{ } only] ? only : "";
        return headers.Authorization is [{ } bearer] && bearer.StartsWith(Bearer + Prefix, StringComparison.Ordinal) ? bearer[Bearer.Length..] : null;
    }

    /// <returns>Null for what cannot be a key.</returns>
    public static string? IdOf(string text) =>
        text.Length == Length && text.StartsWith(Prefix, StringComparison.Ordinal) && text[Prefix.Length + IdLength] == '_'
            && Base64Url.IsValid(text.AsSpan(Prefix.Length, IdLength)) && Base64Url.IsValid(text.AsSpan(Length - SecretLength))
            ? text.Substring(Prefix.Length, IdLength)
            : null;
}
