using System.Buffers;
using System.Text;
using System.Text.RegularExpressions;

namespace Contracts;

/// <summary>
/// Masks what may be a secret in texts that people read: logs, failures, dead letters. It knows forms, not values, so it is the second
/// line: the first is to put no secret into a text. Its time grows with the text and no faster, whatever the text.
/// </summary>
public static partial class Redaction
{
    const string Letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    const string Blanks = " \t\r\n";
    const string Masked = "***";

    /// <summary>Of an API key after its prefix. It may be read: it opens nothing.</summary>
    const int KeyIdLength = 22;

    const int ShortestToken = 16;

    // Where none of these stands, there is nothing to mask, and nothing is allocated.
    static readonly SearchValues<string> Signs = SearchValues.Create(
        ["sgs_", "eyJ", "bearer ", "basic ", "password", "pwd", "key", "secret", "signature", "sig=", "token=", "code=", "@"], StringComparison.OrdinalIgnoreCase);

    static readonly SearchValues<char> KeyLetters = SearchValues.Create(Letters + "_-");
    static readonly SearchValues<char> TokenLetters = SearchValues.Create(Letters + "_-.");
    static readonly SearchValues<char> HeaderLetters = SearchValues.Create(Letters + "_-.~+/=\\");
    static readonly SearchValues<char> ValueEnds = SearchValues.Create(Blanks + ";,&\"'");
    static readonly SearchValues<char> QueryEnds = SearchValues.Create(Blanks + "&\"'");

    /// <returns>The same text where there was nothing to mask.</returns>
    public static string Text(string text)
    {
        if (!text.AsSpan().ContainsAny(Signs))
            return text;
        text = Mask(text, ApiKeyHead(), rest => Length(rest, KeyLetters) is > KeyIdLength and var length ? (KeyIdLength, length) : (0, 0));
        text = Mask(text, WebTokenHead(), rest => Length(rest, TokenLetters) is var length && rest[..length].Contains('.') ? (-3, length) : (length, length));
        text = Mask(text, AuthorizationHead(), rest => Length(rest, HeaderLetters) is >= ShortestToken and var length ? (0, length) : (0, 0));
        text = Mask(text, AssignmentHead(), Value);
        text = Mask(text, QueryHead(), rest => (0, rest.IndexOfAny(QueryEnds) is >= 0 and var end ? end : rest.Length));
        text = UserInfo().Replace(text, "$1:***@");
        return PrivateKey().Replace(text, Masked);
    }

    delegate (int Keep, int End) Tail(ReadOnlySpan<char> rest);

    // Behind each head, what lies between Keep and End goes. A negative Keep takes of the head too.
    static string Mask(string text, Regex head, Tail tail)
    {
        StringBuilder? masked = null;
        var (copied, looked) = (0, 0);
        foreach (var match in head.EnumerateMatches(text))
        {
            if (match.Index < looked)
                continue;
            var start = match.Index + match.Length;
            var (keep, end) = tail(text.AsSpan(start));
            looked = start + end;
            if (end <= keep)
                continue;
            (masked ??= new StringBuilder(text.Length)).Append(text, copied, start + keep - copied).Append(Masked);
            copied = start + end;
        }

        return masked is null ? text : masked.Append(text, copied, text.Length - copied).ToString();
    }

    // In quotes to the quote, else to where the next begins.
    static (int, int) Value(ReadOnlySpan<char> rest)
    {
        if (rest.Length > 0 && rest[0] is '"' or '\'')
            return (0, rest[1..].IndexOf(rest[0]) is >= 0 and var close ? close + 2 : rest.Length);
        return (0, rest.IndexOfAny(ValueEnds) is >= 0 and var end ? end : rest.Length);
    }

    static int Length(ReadOnlySpan<char> rest, SearchValues<char> letters) => rest.IndexOfAnyExcept(letters) is >= 0 and var end ? end : rest.Length;

    [GeneratedRegex("sgs_", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex ApiKeyHead();

    [GeneratedRegex("eyJ")]
    private static partial Regex WebTokenHead();

    [GeneratedRegex("(bearer|basic) {1,4}", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex AuthorizationHead();

    // In connection strings, settings, and JSON, which may itself be escaped.
    [GeneratedRegex(
        """(password|pwd|accountkey|sharedaccesskey|sharedaccesssignature|client_?secret|secret|api_?key)(\\?"|\\u0022)?[ \t]{0,4}[=:][ \t]{0,4}""",
        RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex AssignmentHead();

    [GeneratedRegex(@"([?&]|\\u0026)(sig|token|code|access_token|refresh_token|id_token)=", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex QueryHead();

    [GeneratedRegex(@"(?<=://)([^\s/:@""']{0,200}):[^\s/@""']{1,500}@")]
    private static partial Regex UserInfo();

    [GeneratedRegex("-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----[^-]*(-----END [A-Z ]{0,20}PRIVATE KEY-----)?")]
    private static partial Regex PrivateKey();
}
