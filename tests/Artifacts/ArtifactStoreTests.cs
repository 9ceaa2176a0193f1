using System.Diagnostics;
using Contracts;

namespace Artifacts.Tests;

public sealed class ArtifactStoreTests : IDisposable
{
    readonly TemporaryFolder folder = new();
    readonly ArtifactStore store;

    public ArtifactStoreTests()
    {
        foreach (var name in new[] { "in", "out", "models", "secret" })
            Directory.CreateDirectory(folder[name]);
        store = new ArtifactStore(new ArtifactOptions { InputRoots = [folder["in"]], OutputRoots = [folder["out"]], ModelsRoot = folder["models"] });
    }

    public void Dispose() => folder.Dispose();

    string In(string name) => FileUri.FromPath(folder["in"]) + "/" + name;

    static string Code(Action action) => Should.Throw<FailureException>(action).Failure.Code;

    [Theory]
    [InlineData("../secret/x.csv")]
    [InlineData("%2e%2e/secret/x.csv")]
    [InlineData("a/../../secret/x.csv")]
    [InlineData("..%2fsecret%2fx.csv")]
    [InlineData("./x.csv")]
    [InlineData("..\\secret\\x.csv")]
    public void A_path_that_climbs_is_refused_and_the_field_named(string name)
    {
        folder.Write("secret/x.csv", "a\n1\n");
        var failure = Should.Throw<FailureException>(() => store.LocalPath(In(name), ArtifactAccess.Input, "input.uri")).Failure;
        failure.Code.ShouldBe("path_outside_roots");
        failure.Fields.ShouldHaveSingleItem().Field.ShouldBe("input.uri");
    }

    [Theory]
    [InlineData("http://example.com/x.csv", "uri_scheme_not_allowed")]
    [InlineData("s3://bucket/x.csv", "uri_scheme_not_allowed")]
    [InlineData("/etc/passwd", "uri_scheme_not_allowed")]
    [InlineData("x.csv", "uri_scheme_not_allowed")]
    [InlineData("", "uri_scheme_not_allowed")]
    [InlineData("file:/etc/passwd", "uri_scheme_not_allowed")]
    [InlineData("file://server/share/x.csv", "uri_scheme_not_allowed")]
    [InlineData("file://", "uri_invalid")]
    [InlineData("file:///etc/passwd", "path_outside_roots")]
    [InlineData("file:///dev/zero", "path_outside_roots")]
    [InlineData("file:///proc/self/environ", "path_outside_roots")]
    [InlineData("FILE://LOCALHOST/etc/passwd", "path_outside_roots")]
    [InlineData("file:///in/%zz", "uri_invalid")]
    [InlineData("file:///in/%ff", "uri_invalid")]
    [InlineData("file:///in/%00x", "uri_invalid")]
    public void Anything_but_a_local_file_in_the_roots_is_refused(string uri, string code) =>
        Code(() => store.Pin(uri, ArtifactAccess.Input)).ShouldBe(code);

    [Fact]
    public void A_root_is_not_a_prefix_of_letters()
    {
        folder.Write("in-other/x.csv", "a\n");
        Code(() => store.Pin(FileUri.FromPath(folder["in-other/x.csv"]), ArtifactAccess.Input)).ShouldBe("path_outside_roots");
    }

    [Fact]
    public void Links_out_are_refused_wherever_they_stand_and_links_inside_followed()
    {
        folder.Write("secret/x.csv", "a\n1\n");
        folder.Write("in/real.csv", "a\n1\n");
        File.CreateSymbolicLink(folder["in/file.csv"], folder["secret/x.csv"]);
        Directory.CreateSymbolicLink(folder["in/folder"], folder["secret"]);
        File.CreateSymbolicLink(folder["in/relative.csv"], "../secret/x.csv");
        File.CreateSymbolicLink(folder["in/inside.csv"], "real.csv");
        File.CreateSymbolicLink(folder["in/loop.csv"], "loop.csv");
        File.CreateSymbolicLink(folder["out/dangling"], folder["secret/not-yet"]);
        foreach (var name in new[] { "file.csv", "folder/x.csv", "relative.csv", "loop.csv" })
            Code(() => store.Pin(In(name), ArtifactAccess.Input)).ShouldBe("path_outside_roots");
        Code(() => store.LocalPath(FileUri.FromPath(folder["out/dangling"]) + "/x", ArtifactAccess.Output)).ShouldBe("path_outside_roots");
        store.Pin(In("inside.csv"), ArtifactAccess.Input).Path.ShouldBe(RealPath.Of(folder["in/real.csv"]));
        Code(() => store.List(In(""), [".csv"])).ShouldBe("path_outside_roots");
    }

    [Fact]
    public void Missing_empty_and_odd_files_are_refused()
    {
        folder.Write("in/empty.csv", "");
        Directory.CreateDirectory(folder["in/sub"]);
        using (var mkfifo = Process.Start("mkfifo", folder["in/pipe.csv"]))
            mkfifo.WaitForExit();
        Code(() => store.Pin(In("none.csv"), ArtifactAccess.Input)).ShouldBe("input_missing");
        Code(() => store.Pin(In("empty.csv"), ArtifactAccess.Input)).ShouldBe("input_empty");
        Code(() => store.Pin(In("sub"), ArtifactAccess.Input)).ShouldBe("input_unreadable");
        Code(() => store.Pin(In("pipe.csv"), ArtifactAccess.Input)).ShouldBe("input_unreadable");
        Code(() => store.List(In("sub"), [".csv"])).ShouldBe("input_empty");
        Code(() => store.List(In("*.parquet"), [".parquet"])).ShouldBe("input_missing");
    }

    [Fact]
    public void Each_access_has_its_own_roots()
    {
        folder.Write("in/x", "1");
        folder.Write("out/x", "1");
        folder.Write("models/x", "1");
        Code(() => store.Pin(FileUri.FromPath(folder["out/x"]), ArtifactAccess.Input)).ShouldBe("path_outside_roots");
        Code(() => store.LocalPath(In("x"), ArtifactAccess.Output)).ShouldBe("path_outside_roots");
        foreach (var root in new[] { "in", "out", "models" })
            store.Pin(FileUri.FromPath(folder[$"{root}/x"]), ArtifactAccess.Read).Length.ShouldBe(1);
        new ArtifactStore(new ArtifactOptions()).ShouldSatisfyAllConditions(s => Code(() => s.Pin(In("x"), ArtifactAccess.Input)).ShouldBe("path_outside_roots"));
    }

    [Fact]
    public void A_folder_gives_its_files_by_name_without_hidden_ones()
    {
        foreach (var name in new[] { "b.csv", "a.csv", "sub/c.csv", "_SUCCESS", "_work/d.csv", ".hidden.csv", "notes.txt", ".git/e.csv" })
            folder.Write($"in/data/{name}", "a\n1\n");
        var files = store.List(In("data"), [".csv"]);
        files.Select(f => f.Source).ShouldBe(["a.csv", "b.csv", "sub/c.csv"]);
        files[0].Length.ShouldBe(4);
        files[0].ModifiedTicks.ShouldBe(File.GetLastWriteTimeUtc(files[0].Path).Ticks);
        ArtifactStore.IsUnchanged(files[0].Path, files[0].Length, files[0].ModifiedTicks).ShouldBeTrue();
        File.AppendAllText(files[0].Path, "x");
        ArtifactStore.IsUnchanged(files[0].Path, files[0].Length, files[0].ModifiedTicks).ShouldBeFalse();
    }

    [Theory]
    [InlineData("*.csv", "p1.csv p2.csv x[1].csv")]
    [InlineData("p?.csv", "p1.csv p2.csv")]
    [InlineData("p[2-9].csv", "p2.csv")]
    [InlineData("d*/*.csv", "d1/q.csv d2/q.csv")]
    [InlineData("*/q.csv", "d1/q.csv d2/q.csv")]
    [InlineData("x[1].csv", "x[1].csv")]
    [InlineData("x%5B1%5D.csv", "x[1].csv")]
    public void A_glob_gives_what_it_matches(string glob, string expected)
    {
        foreach (var name in new[] { "p1.csv", "p2.csv", "x[1].csv", "d1/q.csv", "d2/q.csv", "_q.csv" })
            folder.Write($"in/g/{name}", "a\n1\n");
        store.List(In("g/" + glob), [".csv"]).Select(f => f.Source).ShouldBe(expected.Split(' '));
    }

    [Fact]
    public void A_root_may_have_a_globs_letters_in_its_name()
    {
        folder.Write("in [1]/x.csv", "a\n1\n");
        var odd = new ArtifactStore(new ArtifactOptions { InputRoots = [folder["in [1]"]] });
        odd.List("file://" + folder["in [1]/x.csv"], [".csv"]).ShouldHaveSingleItem().Source.ShouldBe("x.csv");
        odd.List("file://" + folder["in [1]"], [".csv"]).ShouldHaveSingleItem();
    }

    [Fact]
    public void A_uri_round_trips_any_name()
    {
        const string name = "ünï #1 100%?*[x] a+b.csv";
        folder.Write($"in/{name}", "a\n");
        var file = store.Pin(In(Uri.EscapeDataString(name)), ArtifactAccess.Input);
        file.Source.ShouldBe(name);
        store.Pin(file.Uri, ArtifactAccess.Input).ShouldBe(file);
    }

    [Theory]
    [InlineData("@acme/x@y.csv", "@acme/x@y.csv")]
    [InlineData("a b/50%40.csv", "a%20b/50%2540.csv")]
    public void A_uri_that_is_given_out_shows_the_at_and_either_form_is_taken(string name, string written)
    {
        folder.Write($"in/{name}", "a\n");
        var file = store.Pin(In(written), ArtifactAccess.Input);
        file.Uri.ShouldEndWith("/in/" + written);
        FileUri.Append("file:///out/", name.Split('/')).ShouldBe("file:///out/" + written);
        store.Pin(file.Uri.Replace("@", "%40", StringComparison.Ordinal), ArtifactAccess.Input).ShouldBe(file);
    }

    [Fact]
    public async Task A_written_file_is_whole_and_leaves_nothing_beside_it()
    {
        var uri = FileUri.FromPath(folder["out/job/_manifest.json"]);
        (await store.WriteAsync(uri, "first"u8.ToArray())).Length.ShouldBe(5);
        var digest = await store.WriteAsync(uri, "second"u8.ToArray());
        digest.ShouldBe(await ArtifactStore.DigestAsync(folder["out/job/_manifest.json"]));
        Directory.GetFileSystemEntries(folder["out/job"]).ShouldHaveSingleItem();
    }

    [Fact]
    public async Task Moving_twice_is_the_same_as_once_and_other_bytes_are_never_overwritten()
    {
        var (from, to) = (FileUri.FromPath(folder["out/_work/p.parquet"]), FileUri.FromPath(folder["out/job/p.parquet"]));
        var digest = await store.WriteAsync(from, "bytes"u8.ToArray());
        (await store.MoveAsync(from, to, digest)).ShouldBeTrue();
        (await store.MoveAsync(from, to, digest)).ShouldBeTrue();
        File.Exists(folder["out/_work/p.parquet"]).ShouldBeFalse();
        (await store.HoldsAsync(to, digest, ArtifactAccess.Output)).ShouldBeTrue();
        var other = await store.WriteAsync(from, "other"u8.ToArray());
        (await store.MoveAsync(from, to, other)).ShouldBeFalse();
        (await store.HoldsAsync(to, digest, ArtifactAccess.Output)).ShouldBeTrue();
        (await store.MoveAsync(FileUri.FromPath(folder["out/nothing"]), FileUri.FromPath(folder["out/new"]), digest)).ShouldBeFalse();
    }

    [Fact]
    public void Deleting_a_folder_stays_inside_the_roots_and_follows_no_link()
    {
        folder.Write("secret/keep", "1");
        folder.Write("out/job/_work/part", "1");
        Directory.CreateSymbolicLink(folder["out/job/_work/link"], folder["secret"]);
        Directory.CreateSymbolicLink(folder["out/direct"], folder["out/job"]);
        Code(() => store.DeleteFolder(FileUri.FromPath(folder["out"]))).ShouldBe("path_outside_roots");
        Code(() => store.DeleteFolder(FileUri.FromPath(folder["in"]))).ShouldBe("path_outside_roots");
        Code(() => store.DeleteFolder(FileUri.FromPath(folder["out/direct"]))).ShouldBe("path_outside_roots");
        store.DeleteFolder(FileUri.FromPath(folder["out/job/_work"]));
        store.DeleteFolder(FileUri.FromPath(folder["out/job/_work"]));
        Directory.Exists(folder["out/job/_work"]).ShouldBeFalse();
        File.Exists(folder["secret/keep"]).ShouldBeTrue();
    }
}
