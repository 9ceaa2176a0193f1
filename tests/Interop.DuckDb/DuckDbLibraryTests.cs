namespace Interop.DuckDb.Tests;

public class DuckDbLibraryTests
{
    [Fact]
    public void Tells_its_version() => DuckDbLibrary.Version.ShouldBe("v1.5.6");

    [Fact]
    public void Loading_the_same_path_again_does_nothing() => DuckDbLibrary.Load(RealLibrary.Find());

    [Fact]
    public void A_second_library_in_the_process_is_refused_by_name() =>
        Should.Throw<InvalidOperationException>(() => DuckDbLibrary.Load("/nowhere/libduckdb.so")).Message.ShouldContain(RealLibrary.Find());
}
