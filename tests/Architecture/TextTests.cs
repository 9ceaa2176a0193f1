namespace Architecture.Tests;

public sealed class TextTests
{
    static readonly string[] TextEndings =
        [".cs", ".csproj", ".props", ".sln", ".json", ".md", ".sh", ".js", ".mjs", ".proto", ".txt", ".rsp", ".yml", ".yaml", ".editorconfig", ".gitignore", ".npmrc"];

    // These rules name what they forbid, and data that others made is theirs.
    static readonly string[] NotOurs = ["tests/Architecture/", "tests/assets/", "samples/data/"];

    [Fact]
    public void Files_say_nothing_of_machines_registries_or_how_they_came_about()
    {
        var files = Repository.Files().Where(f => TextEndings.Any(e => f.EndsWith(e, StringComparison.Ordinal)) || Path.GetExtension(f).Length == 0)
            .Where(f => !NotOurs.Any(n => f.StartsWith(n, StringComparison.Ordinal))).ToList();

        files.ShouldContain("LICENSE");
        files.ShouldContain("eng/run.sh");
        files.SelectMany(f => TextRules.Findings(f, Repository.Text(f))).ShouldBeEmpty();
    }

    [Fact]
    public void Tests_never_sleep() =>
        Repository.Files("tests").Where(f => f.EndsWith(".cs", StringComparison.Ordinal) && !f.StartsWith("tests/Architecture/", StringComparison.Ordinal))
            .SelectMany(f => TextRules.SleepsOf(f, Repository.Text(f))).ShouldBeEmpty();

    [Theory]
    [InlineData("see /home/" + "someone/clone")]
    [InlineData("cd /root/x")]
    [InlineData(@"C:\Users")]
    [InlineData("https://registry." + "npmjs.org/x")]
    [InlineData("\"resolved\": \"x\"")]
    [InlineData("written by a coding assistant")]
    [InlineData("step 3 of 8")]
    [InlineData("// TODO later")]
    public void Each_of_these_is_found(string text) => TextRules.Findings("file", text).ShouldNotBeEmpty();

    [Theory]
    [InlineData("file:///var/lib/sagas/results")]
    [InlineData("/api/v1/models")]
    [InlineData("Step 0 looks at the input")]
    [InlineData("https://nodejs.org")]
    [InlineData("a session is opened")]
    public void None_of_these_is(string text) => TextRules.Findings("file", text).ShouldBeEmpty();

    [Theory]
    [InlineData("Thread." + "Sleep(time)", true)]
    [InlineData("await Task." + "Delay(100)", true)]
    [InlineData("await Task." + "Delay(TimeSpan.FromSeconds(1))", true)]
    [InlineData("await Task.Delay(due, clock)", false)]
    public void A_sleep_is_found(string text, bool isSleep) => TextRules.SleepsOf("file", text).Any().ShouldBe(isSleep);
}
