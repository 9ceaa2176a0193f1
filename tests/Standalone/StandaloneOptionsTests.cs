namespace Standalone.Tests;

public sealed class StandaloneOptionsTests
{
    [Fact]
    public void Without_arguments_the_data_are_in_the_current_folder_and_the_port_is_free_to_choose() =>
        StandaloneOptions.Parse([]).ShouldBe(new StandaloneOptions(".data", System.Net.IPAddress.Loopback, null, false, false, []));

    [Fact]
    public void Everything_said_is_heard_and_once_implies_the_sample()
    {
        var options = StandaloneOptions.Parse(["--data", "/tmp/x", "--port", "9000", "--once", "--Artifacts:InputRoots:2=/srv"]);

        options.DataFolder.ShouldBe("/tmp/x");
        options.Port.ShouldBe(9000);
        (options.Sample, options.Once).ShouldBe((true, true));
        options.Settings.ShouldBe(["--Artifacts:InputRoots:2=/srv"]);
    }

    [Theory]
    [InlineData("--port", "abc")]
    [InlineData("--port", "70000")]
    [InlineData("--data")]
    [InlineData("serve")]
    public void What_makes_no_sense_is_refused(params string[] args) =>
        Should.Throw<StandaloneUsageException>(() => StandaloneOptions.Parse(args)).Message.ShouldContain(args[0]);
}
