using System.Text.RegularExpressions;

namespace Architecture.Tests;

/// <summary>A pipeline is a folder, and a namespace, of the same name in every project.</summary>
static partial class PipelineRules
{
    const string Ledger = "WorkLedger";

    /// <summary>A pipeline that uses another, or the ledger that uses any.</summary>
    public static IEnumerable<string> Crossings(IEnumerable<TypeUse> uses, IReadOnlyList<string> pipelines) =>
        from use in uses
        let home = Home(use.User.Split('.'), pipelines)
        where home is not null
        let other = PipelineOf(use.Used.Split('.'), pipelines)
        where other is not null && other != home
        select $"{use.User} uses {use.Used}";

    /// <summary>The same in the text, which also shows constants and comments.</summary>
    /// <param name="file">With slashes.</param>
    public static IEnumerable<string> CrossingsInText(string file, string text, IReadOnlyList<string> pipelines)
    {
        var home = Home(file.Split('/')[..^1], pipelines);
        return home is null ? [] : pipelines.Where(p => p != home && Regex.IsMatch(text, $@"\.{p}\b")).Select(p => $"{file} names {p}");
    }

    /// <summary>Namespaces are what the compiled rule judges by: a file's must be its folder's.</summary>
    public static IEnumerable<string> Strangers(string file, string text, IReadOnlyList<string> pipelines)
    {
        var space = Namespace().Match(text) is { Success: true } match ? match.Groups[1].Value : "";
        return Home(file.Split('/')[..^1], pipelines) != Home(space.Split('.'), pipelines) ? [$"{file} is in namespace {space}"] : [];
    }

    static string? Home(string[] names, IReadOnlyList<string> pipelines) => names.Contains(Ledger) ? Ledger : PipelineOf(names, pipelines);

    static string? PipelineOf(string[] names, IReadOnlyList<string> pipelines) => pipelines.FirstOrDefault(names.Contains);

    [GeneratedRegex(@"^namespace ([\w.]+)", RegexOptions.Multiline)]
    private static partial Regex Namespace();
}
