using System.Buffers.Text;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace Api.Security.Tokens;

/// <summary>
/// A token as it is written (RFC 7515, compact form), its header read and its payload not: nothing of that is looked at before the
/// signature is known to be right.
/// </summary>
/// <param name="KeyId">Null when it names none.</param>
/// <param name="SigningInput">The ASCII bytes that were signed.</param>
sealed record SignedToken(string Algorithm, string? KeyId, byte[] SigningInput, byte[] Signature, byte[] Payload)
{
    public const int Longest = 16 * 1024;

    const int MostDepth = 16;
    const int LongestKeyId = 256;

    static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false, MaxDepth = MostDepth };

    /// <returns>The token, or why it is none.</returns>
    public static (SignedToken? Token, TokenFault Fault) Read(string text)
    {
        if (text.Length > Longest)
            return (null, TokenFault.TooLong);
        var parts = text.Split('.');
        if (parts.Length != 3)
            return (null, parts.Length == 5 ? TokenFault.Encrypted : TokenFault.Malformed);
        if (Decode(parts[0]) is not { } header || Decode(parts[1]) is not { } payload || Decode(parts[2]) is not { } signature)
            return (null, TokenFault.Malformed);
        using var document = ParseObject(header);
        if (document is null)
            return (null, TokenFault.HeaderInvalid);
        var fault = Check(document.RootElement, out var algorithm, out var keyId);
        return fault == TokenFault.None
            ? (new SignedToken(algorithm, keyId, Encoding.ASCII.GetBytes(text, 0, parts[0].Length + 1 + parts[1].Length), signature, payload), fault)
            : (null, fault);
    }

    /// <returns>Null for what is not an object in JSON and UTF-8 with each name once.</returns>
    public static JsonDocument? ParseObject(byte[] json)
    {
        if (!Utf8.IsValid(json))
            return null;
        try
        {
            var document = JsonDocument.Parse(json, Strict);
            if (document.RootElement.ValueKind == JsonValueKind.Object)
                return document;
            document.Dispose();
        }
        catch (JsonException)
        {
        }

        return null;
    }

    /// <returns>Null for what is no text, or half a surrogate pair, which JSON allows and text does not.</returns>
    public static string? Text(JsonElement element)
    {
        try
        {
            return element.ValueKind == JsonValueKind.String ? element.GetString() : null;
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }

    /// <summary>Base64url as RFC 7515 has it, and no other writing of the same bytes: no padding, no blanks, no bits left over.</summary>
    public static byte[]? Decode(string text)
    {
        if (text.Length % 4 == 1 || text.AsSpan().ContainsAnyExcept(Alphabet) || !Base64Url.IsValid(text))
            return null;
        var bytes = Base64Url.DecodeFromChars(text);
        return text.Length % 4 == 0 || Base64Url.EncodeToString(bytes) == text ? bytes : null;
    }

    static readonly System.Buffers.SearchValues<char> Alphabet =
        System.Buffers.SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");

    static TokenFault Check(JsonElement header, out string algorithm, out string? keyId)
    {
        (algorithm, keyId) = ("", null);
        if (!header.TryGetProperty("alg", out var alg) || Text(alg) is not { } name)
            return TokenFault.HeaderInvalid;
        if (header.TryGetProperty("crit", out _))
            return TokenFault.CriticalNotSupported;
        if (header.TryGetProperty("typ", out var typ)
            && !(Text(typ) is { } type && (type.Equals("JWT", StringComparison.OrdinalIgnoreCase) || type.Equals("at+jwt", StringComparison.OrdinalIgnoreCase))))
            return TokenFault.TypeNotAllowed;
        if (header.TryGetProperty("kid", out var kid) && (keyId = Text(kid)) is not { Length: > 0 and <= LongestKeyId })
            return TokenFault.HeaderInvalid;
        algorithm = name;
        return TokenFault.None;
    }
}
