using ServiceDefaults;
using Support;

namespace Standalone.Tests;

public sealed class NativePartsTests
{
    [Fact]
    public void They_are_found_above_the_build_output()
    {
        File.Exists(NativeParts.DuckDb()).ShouldBeTrue();
        File.Exists(NativeParts.OnnxRuntime()).ShouldBeTrue();
        File.Exists(Path.Combine(NativeParts.Postgres(), "bin", "postgres")).ShouldBeTrue();
    }

    [Fact]
    public void A_folder_that_is_chosen_is_enough_for_a_library()
    {
        using var folder = new TestFolder();
        File.WriteAllText(folder["libduckdb.so"], "");

        NativeParts.DuckDb(folder.Path).ShouldBe(folder["libduckdb.so"]);
        NativeParts.DuckDb(folder["libduckdb.so"]).ShouldBe(folder["libduckdb.so"]);
    }

    [Fact]
    public void A_choice_that_is_not_there_is_named() =>
        Should.Throw<NativePartMissingException>(() => NativeParts.DuckDb("/nowhere/libduckdb.so")).Message.ShouldContain("/nowhere/libduckdb.so");
}
