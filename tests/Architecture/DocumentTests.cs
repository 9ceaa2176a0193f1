using System.Text.RegularExpressions;

namespace Architecture.Tests;

/// <summary>What the documents name is there.</summary>
public sealed partial class DocumentTests
{
    static readonly string[] Documents = [.. Repository.Files().Where(f => f == "README.md" || (f.StartsWith("docs/", StringComparison.Ordinal) && f.EndsWith(".md", StringComparison.Ordinal)))];

    [Fact]
    public void Links_lead_to_files() =>
        (from document in Documents
         from link in Link().Matches(Repository.Text(document)).Select(m => m.Groups[1].Value)
         let path = Path.GetFullPath(Path.Combine(Repository.Root, Path.GetDirectoryName(document)!, link))
         where !Path.Exists(path)
         select $"{document} links {link}").ShouldBeEmpty();

    [Fact]
    public void Paths_are_files_or_folders() =>
        (from document in Documents
         from path in SourcePath().Matches(Repository.Text(document)).Select(m => m.Groups[1].Value)
         where !path.Contains('*') && !Path.Exists(Path.Combine(Repository.Root, path))
         select $"{document} names {path}").ShouldBeEmpty();

    [Fact]
    public void Tests_that_are_named_exist()
    {
        var tests = string.Concat(Repository.Files("tests").Where(f => f.EndsWith("Tests.cs", StringComparison.Ordinal)).Select(Repository.Text));
        var named = TestName().Matches(Repository.Text("README.md")).Select(m => m.Groups[1].Value).ToList();

        named.Count.ShouldBeGreaterThan(10);
        named.Where(name => !tests.Contains($" {name}(", StringComparison.Ordinal)).ShouldBeEmpty();
    }

    [Fact]
    public void The_diagram_of_batch_inference_has_the_transitions_of_its_machine()
    {
        var page = Repository.Text("docs/pipelines/batch-inference.md");
        var diagram = page[page.IndexOf("```mermaid", StringComparison.Ordinal)..];
        diagram = diagram[..diagram.IndexOf("```\n", StringComparison.Ordinal)];
        var machine = Repository.Text("src/Sagas/BatchInference/BatchJobStateMachine.cs");

        var drawn = Arrow().Matches(diagram).Select(m => (From: m.Groups[1].Value, To: m.Groups[2].Value)).Where(a => a.From != a.To && a.To != "[*]");
        var written =
            from block in StateBlock().Matches(machine)
            from state in block.Groups[1].Value is "" ? ["[*]"] : block.Groups[1].Value.Split(", ")
            from target in Transition().Matches(block.Groups[2].Value)
            select (state, target.Groups[1].Value);

        drawn.Distinct().Order().ShouldBe(written.Distinct().Order());
    }

    [GeneratedRegex(@"^\s*(\S+) --> (\S+?)(?::|$)", RegexOptions.Multiline)]
    private static partial Regex Arrow();

    // Up to the line that ends the block.
    [GeneratedRegex(@"^        (?:Initially\(|During\(((?:\w+, )*\w+),)\r?\n(.*?)\);\r?$", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex StateBlock();

    [GeneratedRegex(@"\.TransitionTo\((\w+)\)")]
    private static partial Regex Transition();

    [GeneratedRegex(@"\]\((?!https?:|#)([^)#]+)")]
    private static partial Regex Link();

    [GeneratedRegex(@"`((?:src|tests|samples|eng|docs)/[^`\s]+)`")]
    private static partial Regex SourcePath();

    [GeneratedRegex(@"`([A-Z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*_[a-z][A-Za-z0-9_]*)`")]
    private static partial Regex TestName();
}
