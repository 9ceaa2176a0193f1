using System.Text.RegularExpressions;

namespace Architecture.Tests;

/// <summary>What no file of the repository may say.</summary>
static partial class TextRules
{
    public static IEnumerable<string> Findings(string file, string text) =>
        [
            .. Found(file, text, MachinePath(), "a path of somebody's machine"),
            .. Found(file, text, RegistryHost(), "the host of a package registry"),
            .. Found(file, text, Author(), "who wrote it, not what it is"),
            .. Found(file, text, Leftover(), "work left over"),
        ];

    public static IEnumerable<string> SleepsOf(string file, string text) => Found(file, text, Sleep(), "a sleep: wait for what is to happen");

    static IEnumerable<string> Found(string file, string text, Regex rule, string what) =>
        rule.Matches(text).Select(m => $"{file}, line {text.AsSpan(0, m.Index).Count('\n') + 1}: {m.Value.Trim()} is {what}");

    [GeneratedRegex(@"(?<![\w.])(/(root|work|mnt|Users|home/\w+)/\w|[A-Z]:\\\w)")]
    private static partial Regex MachinePath();

    [GeneratedRegex(@"https?://[\w.-]*(nuget\.org|npmjs\.(org|com)|npmmirror|artifactory|nexus|pkgs\.dev\.azure\.com|verdaccio|proget|jfrog)[\w./-]*|""resolved"":|--registry\b|_authToken", RegexOptions.IgnoreCase)]
    private static partial Regex RegistryHost();

    [GeneratedRegex(@"\b(llms?|chat ?bots?|language models?|co-?pilot|claude|chatgpt|(ai|coding)[- ](assistant|agent|generated|written)|as an ai|co-authored-by|system prompt)\b|\b(step|session|task) \d+ of \d+\b", RegexOptions.IgnoreCase)]
    private static partial Regex Author();

    [GeneratedRegex(@"\b(TODO|FIXME|XXX|NotImplementedException)\b")]
    private static partial Regex Leftover();

    [GeneratedRegex(@"\bThread\.Sleep\b|\bTask\.Delay\(\s*(\d|TimeSpan\.From|new TimeSpan)")]
    private static partial Regex Sleep();
}
