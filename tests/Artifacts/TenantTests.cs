using Contracts;

namespace Artifacts.Tests;

/// <summary>What one tenant can reach of another's, which is nothing.</summary>
public sealed class TenantTests : IDisposable
{
    readonly TemporaryFolder folder = new();
    readonly ArtifactStore store;

    public TenantTests()
    {
        foreach (var name in new[] { "in", "acme", "bob", "out/@acme", "out/@bob", "out/@local", "out/job", "models/@acme", "models/@bob" })
            Directory.CreateDirectory(folder[name]);
        store = new ArtifactStore(Options());
    }

    ArtifactStore Home => store.For("local");

    ArtifactStore Acme => store.For("acme");

    public void Dispose() => folder.Dispose();

    ArtifactOptions Options() => new()
    {
        InputRoots = [folder["in"]],
        OutputRoots = [folder["out"]],
        ModelsRoot = folder["models"],
        Tenants = new() { ["acme"] = new() { InputRoots = [folder["acme"]] }, ["bob"] = new() { InputRoots = [folder["bob"]] } },
    };

    string Uri(string name) => "file://" + folder.Path + "/" + name;

    static Failure Refused(Action action)
    {
        var failure = Should.Throw<FailureException>(action).Failure;
        failure.Code.ShouldBe("path_outside_roots");
        return failure;
    }

    [Fact]
    public void Each_tenant_reads_its_own_input_roots_and_the_platform_all()
    {
        foreach (var name in new[] { "in", "acme", "bob" })
            folder.Write($"{name}/x.csv", "a\n1\n");
        foreach (var (tenant, own) in new[] { ("local", "in"), ("acme", "acme"), ("bob", "bob") })
            foreach (var name in new[] { "in", "acme", "bob" })
                foreach (var access in new[] { ArtifactAccess.Input, ArtifactAccess.Read })
                {
                    store.Pin(Uri($"{name}/x.csv"), access).Length.ShouldBe(4);
                    if (name == own)
                        store.For(tenant).Pin(Uri($"{name}/x.csv"), access).Length.ShouldBe(4);
                    else
                        Refused(() => store.For(tenant).Pin(Uri($"{name}/x.csv"), access));
                }
        Refused(() => store.For("nobody").Pin(Uri("in/x.csv"), ArtifactAccess.Input)).Message.ShouldContain("Artifacts:Tenants:nobody:InputRoots");
    }

    [Theory]
    [InlineData("out/@acme")]
    [InlineData("out/@acme/job/_work/part.parquet")]
    [InlineData("out/%40acme/job")]
    [InlineData("out/%40%61cme/job")]
    [InlineData("out//@acme//job")]
    [InlineData("out/@acme/@bob")]
    public void A_tenant_writes_below_its_own_folder_however_it_is_written(string path) =>
        Acme.LocalPath(Uri(path), ArtifactAccess.Output).ShouldStartWith(folder["out/@acme"]);

    [Theory]
    [InlineData("out")]
    [InlineData("out/job")]
    [InlineData("out/@bob")]
    [InlineData("out/@bob/job")]
    [InlineData("out/%40bob/job")]
    [InlineData("out/@%62ob/job")]
    [InlineData("out//@bob")]
    [InlineData("out/@local/job")]
    [InlineData("out/@")]
    [InlineData("out/@ACME/job")]
    [InlineData("out/@Acme/job")]
    [InlineData("out/@acme./job")]
    [InlineData("out/@acme%20/job")]
    [InlineData("out/@acmee/job")]
    [InlineData("out/@acm/job")]
    [InlineData("out/@аcme/job")]
    [InlineData("out/＠acme/job")]
    [InlineData("out/﹫acme/job")]
    [InlineData("out/acme/job")]
    [InlineData("out/x/@acme/job")]
    [InlineData("out/@acme/../@bob")]
    [InlineData("out/@acme/%2e%2e/@bob")]
    [InlineData("out/@acme/.%2e/job")]
    [InlineData("out/@acme/..%2f@bob")]
    [InlineData("out/@acme%2f..%2f@bob")]
    [InlineData("out/@acme/./job")]
    [InlineData("acme/results")]
    [InlineData("models/@acme/x")]
    public void A_tenant_writes_nowhere_else(string path) => Refused(() => Acme.LocalPath(Uri(path), ArtifactAccess.Output, "output.uri"));

    [Theory]
    [InlineData("out", true)]
    [InlineData("out/job", true)]
    [InlineData("out/@local/job", true)]
    [InlineData("out/x/@acme/job", true)]
    [InlineData("out/a@b", true)]
    [InlineData("out/@acme", false)]
    [InlineData("out/%40bob/job", false)]
    [InlineData("out/@nobody-yet/job", false)]
    [InlineData("out/@Local/job", false)]
    [InlineData("out/@", false)]
    [InlineData("out/＠acme/job", false)]
    [InlineData("out/﹫acme/job", false)]
    public void The_home_tenant_writes_anywhere_but_below_others_folders(string path, bool isAllowed)
    {
        if (isAllowed)
            Home.LocalPath(Uri(path), ArtifactAccess.Output).ShouldStartWith(folder["out"]);
        else
            Refused(() => Home.LocalPath(Uri(path), ArtifactAccess.Output));
        store.LocalPath(Uri(path), ArtifactAccess.Output).ShouldStartWith(folder["out"]);
    }

    [Fact]
    public void A_refusal_names_the_folder_that_is_allowed_and_nobody_else()
    {
        folder.Write("bob/secret.csv", "a\n1\n");
        Directory.CreateSymbolicLink(folder["acme/link"], folder["bob"]);
        Directory.CreateSymbolicLink(folder["out/@acme/link"], folder["out/@bob"]);

        var output = Refused(() => Acme.LocalPath(Uri("out/@acme/link/job"), ArtifactAccess.Output, "output.uri"));
        var input = Refused(() => Acme.List(Uri("acme/link"), [".csv"]));
        var everything = Refused(() => Acme.List(Uri("acme"), [".csv"]));
        var glob = Refused(() => Acme.List(Uri("acme/*/*.csv"), [".csv"]));

        output.Fields.ShouldHaveSingleItem().Field.ShouldBe("output.uri");
        output.Message.ShouldContain(FileUri.FromPath(RealPath.Of(folder["out/@acme"])!));
        foreach (var failure in new[] { output, input, everything, glob })
        {
            failure.Message.ShouldNotContain("bob");
            failure.Message.ShouldNotContain("secret");
        }
    }

    [Fact]
    public void A_link_into_anothers_place_is_refused_wherever_it_stands()
    {
        folder.Write("bob/x.csv", "a\n1\n");
        folder.Write("out/@bob/job/part.csv", "a\n1\n");
        folder.Write("out/@acme/job/part.csv", "a\n1\n");
        folder.Write("models/@bob/x.onnx", "1");
        File.CreateSymbolicLink(folder["acme/file.csv"], folder["bob/x.csv"]);
        Directory.CreateSymbolicLink(folder["acme/results"], folder["out/@bob"]);
        Directory.CreateSymbolicLink(folder["acme/own-results"], folder["out/@acme"]);
        Directory.CreateSymbolicLink(folder["acme/home"], folder["in"]);
        File.CreateSymbolicLink(folder["in/file.csv"], "../bob/x.csv");
        Directory.CreateSymbolicLink(folder["in/all"], folder["out"]);
        Directory.CreateSymbolicLink(folder["out/@acme/job/_work"], folder["out/@bob/job"]);
        Directory.CreateSymbolicLink(folder["out/elsewhere"], folder["out/@bob"]);
        Directory.CreateSymbolicLink(folder["models/@acme/ab"], folder["models/@bob"]);

        foreach (var name in new[] { "acme/file.csv", "acme/results/job/part.csv", "acme/own-results/job/part.csv", "acme/home/x.csv" })
            Refused(() => Acme.Pin(Uri(name), ArtifactAccess.Input));
        foreach (var name in new[] { "in/file.csv", "in/all/@bob/job/part.csv" })
            Refused(() => Home.Pin(Uri(name), ArtifactAccess.Input));
        Refused(() => Acme.LocalPath(Uri("out/@acme/job/_work/part.csv"), ArtifactAccess.Output));
        Refused(() => Acme.DeleteFolder(Uri("out/@acme/job/_work")));
        Refused(() => Home.LocalPath(Uri("out/elsewhere/job"), ArtifactAccess.Output));
        Refused(() => Acme.LocalPath(Uri("models/@acme/ab/x.onnx"), ArtifactAccess.Model));
        File.Exists(folder["out/@bob/job/part.csv"]).ShouldBeTrue();
    }

    [Fact]
    public void A_tenants_folder_that_is_itself_a_link_to_anothers_is_refused()
    {
        Directory.Delete(folder["out/@acme"]);
        Directory.CreateSymbolicLink(folder["out/@acme"], folder["out/@bob"]);
        Refused(() => Acme.LocalPath(Uri("out/@acme/job"), ArtifactAccess.Output));
    }

    [Theory]
    [InlineData("")]
    [InlineData("*.csv")]
    [InlineData("*/*.csv")]
    [InlineData("l*/none-*.csv")]
    [InlineData("*/deep/*.csv")]
    public void Folders_and_globs_that_meet_a_link_into_anothers_place_tell_nothing_of_it(string glob)
    {
        folder.Write("acme/own.csv", "a\n1\n");
        folder.Write("bob/found.csv", "a\n1\n");
        folder.Write("bob/deep/found.csv", "a\n1\n");
        Directory.CreateSymbolicLink(folder["acme/linked.csv"], folder["bob"]);
        var there = Refused(() => Acme.List(Uri($"acme/{glob}"), [".csv"])).Message;
        Directory.Delete(folder["bob"], recursive: true);
        // Whatever is behind the link, or nothing at all: the answer is the same.
        Refused(() => Acme.List(Uri($"acme/{glob}"), [".csv"])).Message.ShouldBe(there);
        there.ShouldNotContain("found");
    }

    [Fact]
    public void Whether_a_name_with_a_globs_letters_is_anothers_is_not_told()
    {
        folder.Write("bob/x[1].csv", "a\n1\n");
        var there = Refused(() => Acme.List(Uri("bob/x[1].csv"), [".csv"])).Message;
        Refused(() => Acme.List(Uri("bob/x[2].csv"), [".csv"])).Message.Replace("[2]", "[1]").ShouldBe(there);
    }

    [Fact]
    public void Of_folders_within_each_other_the_innermost_decides()
    {
        folder.Write("in/x.csv", "a\n1\n");
        folder.Write("in/acme/x.csv", "a\n1\n");
        folder.Write("in/acme/shared/x.csv", "a\n1\n");
        var options = Options();
        options.Tenants["acme"] = new() { InputRoots = [folder["in/acme"], folder["in/acme/shared"]] };
        options.Tenants["bob"] = new() { InputRoots = [folder["in/acme/shared"]] };
        var nested = new ArtifactStore(options);

        var seen = new[] { "local", "acme", "bob" }.Select(tenant =>
            string.Join(' ', new[] { "in/x.csv", "in/acme/x.csv", "in/acme/shared/x.csv" }.Where(name => Reads(nested.For(tenant), name))));

        seen.ShouldBe(["in/x.csv", "in/acme/x.csv in/acme/shared/x.csv", "in/acme/shared/x.csv"]);
        Refused(() => nested.For("local").List(Uri("in"), [".csv"])).Message.ShouldNotContain("acme");
        nested.For("acme").List(Uri("in/acme"), [".csv"]).Select(f => f.Source).ShouldBe(["shared/x.csv", "x.csv"]);
    }

    [Fact]
    public void Results_are_no_input_unless_their_folder_is_configured_as_one()
    {
        folder.Write("out/job/x.csv", "a\n1\n");
        folder.Write("out/@acme/job/x.csv", "a\n1\n");
        folder.Write("out/@bob/job/x.csv", "a\n1\n");
        var options = Options();
        options.InputRoots = [folder["out"]];
        options.Tenants["acme"] = new() { InputRoots = [folder["out/@acme"]] };
        var chained = new ArtifactStore(options);

        foreach (var tenant in new[] { "local", "acme", "bob" })
            Refused(() => store.For(tenant).Pin(Uri($"out/@{tenant}/job/x.csv"), ArtifactAccess.Input));
        Reads(chained.For("acme"), "out/@acme/job/x.csv").ShouldBeTrue();
        Reads(chained.For("acme"), "out/job/x.csv").ShouldBeFalse();
        Reads(chained.For("local"), "out/job/x.csv").ShouldBeTrue();
        Reads(chained.For("local"), "out/@acme/job/x.csv").ShouldBeFalse();
        Reads(chained.For("local"), "out/@bob/job/x.csv").ShouldBeFalse();
    }

    [Fact]
    public void A_root_that_holds_the_results_of_all_shows_a_tenant_none_of_the_others()
    {
        folder.Write("out/job/x.csv", "a\n1\n");
        folder.Write("out/@acme/job/x.csv", "a\n1\n");
        folder.Write("out/@bob/job/x.csv", "a\n1\n");
        folder.Write("models/old.onnx", "1");
        folder.Write("y.csv", "a\n1\n");
        var options = Options();
        options.Tenants["acme"] = new() { InputRoots = [folder.Path] };
        var wide = new ArtifactStore(options).For("acme");

        Reads(wide, "y.csv").ShouldBeTrue();
        Reads(wide, "out/@acme/job/x.csv").ShouldBeTrue();
        foreach (var name in new[] { "out/job/x.csv", "out/@bob/job/x.csv", "models/old.onnx", "bob/x.csv", "in/x.csv" })
            Reads(wide, name).ShouldBeFalse(name);
    }

    [Fact]
    public async Task A_tenant_moves_and_writes_only_within_its_own()
    {
        var digest = await Acme.WriteAsync(Uri("out/@acme/_work/p"), "bytes"u8.ToArray());
        (await Acme.MoveAsync(Uri("out/@acme/_work/p"), Uri("out/@acme/job/p"), digest)).ShouldBeTrue();
        await Should.ThrowAsync<FailureException>(() => Acme.MoveAsync(Uri("out/@acme/job/p"), Uri("out/@bob/p"), digest));
        await Should.ThrowAsync<FailureException>(() => Acme.MoveAsync(Uri("out/@bob/p"), Uri("out/@acme/q"), digest));
        await Should.ThrowAsync<FailureException>(() => Acme.WriteAsync(Uri("out/@bob/p"), "bytes"u8.ToArray()));
        await Should.ThrowAsync<FailureException>(() => Acme.ExistsAsync(Uri("out/@bob/p")));
        Directory.GetFileSystemEntries(folder["out/@bob"]).ShouldBeEmpty();
    }

    [Fact]
    public void A_tenants_folder_is_never_deleted_as_a_whole()
    {
        foreach (var view in new[] { store, Acme })
        {
            Refused(() => view.DeleteFolder(Uri("out/@acme")));
            view.DeleteFolderIfEmpty(Uri("out/@acme"));
        }

        Refused(() => Home.DeleteFolder(Uri("out/@local")));
        Directory.Exists(folder["out/@acme"]).ShouldBeTrue();
        Acme.DeleteFolderIfEmpty(Uri("out/@acme/nothing"));
    }

    [Fact]
    public void Models_lie_below_the_tenants_folder_and_old_ones_are_the_home_tenants()
    {
        folder.Write("models/ab/old.onnx", "1");
        folder.Write("models/@acme/ab/x.onnx", "1");
        Acme.Pin(Uri("models/@acme/ab/x.onnx"), ArtifactAccess.Model).Length.ShouldBe(1);
        Home.Pin(Uri("models/ab/old.onnx"), ArtifactAccess.Model).Length.ShouldBe(1);
        Refused(() => Acme.Pin(Uri("models/ab/old.onnx"), ArtifactAccess.Model));
        Refused(() => Home.Pin(Uri("models/@acme/ab/x.onnx"), ArtifactAccess.Model));
        Refused(() => store.For("bob").Pin(Uri("models/@acme/ab/x.onnx"), ArtifactAccess.Read));
    }

    [Theory]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("..")]
    [InlineData("Acme")]
    [InlineData("-acme")]
    [InlineData("a/b")]
    [InlineData("a.b")]
    [InlineData("acme\n")]
    [InlineData("аcme")]
    [InlineData("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")]
    public void No_view_is_given_of_what_no_tenant_can_be_called(string tenant) => Should.Throw<ArgumentException>(() => store.For(tenant));

    [Fact]
    public void The_home_tenant_may_have_another_name()
    {
        folder.Write("in/x.csv", "a\n1\n");
        var options = Options();
        options.HomeTenant = "owner";
        var renamed = new ArtifactStore(options);
        Reads(renamed.For("owner"), "in/x.csv").ShouldBeTrue();
        Reads(renamed.For("local"), "in/x.csv").ShouldBeFalse();
        renamed.For("owner").LocalPath(Uri("out/job"), ArtifactAccess.Output);
        Refused(() => renamed.For("owner").LocalPath(Uri("out/@local"), ArtifactAccess.Output));
    }

    [Fact]
    public void A_view_is_made_once() => Acme.ShouldBeSameAs(store.For("bob").For("acme"));

    bool Reads(ArtifactStore view, string name)
    {
        try
        {
            return view.LocalPath(Uri(name), ArtifactAccess.Input).Length > 0;
        }
        catch (FailureException e) when (e.Failure.Code == "path_outside_roots")
        {
            return false;
        }
    }
}
