using System.Text.RegularExpressions;

namespace Architecture.Tests;

/// <summary>What looks like a secret and must not be in the repository.</summary>
static partial class SecretRules
{
    const double LeastEntropy = 3.5;

    public static IEnumerable<string> Findings(string file, string text) =>
        [
            .. Found(file, text, PrivateKey(), "a private key"),
            .. Found(file, text, WebToken(), "a token"),
            .. Found(file, text, ApiKey(), "an API key"),
            .. Found(file, text, CloudKey(), "a key of a cloud"),
            .. Found(file, text, Assignment(), "a password"),
        ];

    static IEnumerable<string> Found(string file, string text, Regex rule, string what) =>
        rule.Matches(text).Where(m => Entropy(m.Groups["secret"].Value) >= LeastEntropy)
            .Select(m => $"{file}, line {text.AsSpan(0, m.Index).Count('\n') + 1}: this looks like {what}");

    // Bits a letter: words and letters repeated have few.
    static double Entropy(string text) =>
        -text.GroupBy(c => c).Select(g => (double)g.Count() / text.Length).Sum(p => p * Math.Log2(p));

    [GeneratedRegex("-----BEGIN [A-Z ]*PRIVATE KEY-----\\s*(?<secret>[A-Za-z0-9+/=\\s]{40,})")]
    private static partial Regex PrivateKey();

    [GeneratedRegex(@"(?<secret>eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,})")]
    private static partial Regex WebToken();

    [GeneratedRegex("sgs_[A-Za-z0-9_-]{22}_(?<secret>[A-Za-z0-9_-]{43})")]
    private static partial Regex ApiKey();

    [GeneratedRegex(@"(?<secret>\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}\b|\bxox[abprs]-[A-Za-z0-9-]{20,}|AccountKey=[A-Za-z0-9+/]{60,}|[?&]sig=[A-Za-z0-9%+/]{30,}|\bnpm_[A-Za-z0-9]{36}\b)")]
    private static partial Regex CloudKey();

    [GeneratedRegex("""(?i)(password|pwd|secret|api_?key|token)["']?\s*[=:]\s*["'](?<secret>[A-Za-z0-9+/_=-]{20,})["']""")]
    private static partial Regex Assignment();
}
