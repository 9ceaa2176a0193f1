using System.Net;
using Support;

namespace Standalone.Tests;

[Trait("Category", "Server")]
public sealed class StandaloneProcessTests : IDisposable
{
    readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task It_gets_ready_and_a_sigterm_ends_it_and_its_database_cleanly()
    {
        await using var standalone = await StandaloneProcess.StartAsync(new StandaloneLaunch(_folder.Path));
        var postgres = PostgresProcess.Find(_folder.Path).ShouldNotBeNull();
        (await standalone.Http.GetStringAsync("/health")).ShouldContain("\"postgresql\"");

        (await standalone.StopAsync()).ShouldBe(0);

        Signals.IsAlive(postgres).ShouldBeFalse();
        File.Exists(_folder["postgres/cluster/postmaster.pid"]).ShouldBeFalse();
    }

    [Fact]
    public async Task Ctrl_C_ends_it_cleanly_too()
    {
        // In a test run that is itself in the background, the signal would be ignored.
        await using var standalone = await StandaloneProcess.StartAsync(new StandaloneLaunch(_folder.Path) { Launcher = ["env", "--default-signal=INT"] });

        (await standalone.StopAsync(Signals.Interrupt)).ShouldBe(0);

        PostgresProcess.Find(_folder.Path).ShouldBeNull();
    }

    [Fact]
    public async Task A_second_one_on_the_same_folder_is_refused_by_pid_and_folder()
    {
        await using var first = await StandaloneProcess.StartAsync(new StandaloneLaunch(_folder.Path));

        var (exitCode, output) = await StandaloneProcess.RunAsync(new StandaloneLaunch(_folder["."]));

        exitCode.ShouldBe(1);
        output.ShouldContain($"process {first.ProcessId}");
        output.ShouldContain(_folder.Path);
        (await first.Http.GetAsync("/health/ready")).StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public async Task After_kill_9_the_next_one_adopts_the_running_database()
    {
        await using var first = await StandaloneProcess.StartAsync(new StandaloneLaunch(_folder.Path));
        await first.KillAsync();
        var postgres = PostgresProcess.Find(_folder.Path).ShouldNotBeNull();

        await using var second = await StandaloneProcess.StartAsync(new StandaloneLaunch(_folder.Path));

        second.Output.ShouldContain("Adopted the running PostgreSQL");
        PostgresProcess.Find(_folder.Path).ShouldBe(postgres);
        (await second.StopAsync()).ShouldBe(0);
        Signals.IsAlive(postgres).ShouldBeFalse();
    }

    [Fact]
    public async Task After_kill_9_of_both_the_next_one_recovers_the_database()
    {
        await using var first = await StandaloneProcess.StartAsync(new StandaloneLaunch(_folder.Path));
        await first.KillAsync();
        await PostgresProcess.KillAsync(_folder.Path);

        await using var second = await StandaloneProcess.StartAsync(new StandaloneLaunch(_folder.Path));

        second.Output.ShouldContain("Started PostgreSQL");
    }

    [Fact]
    public async Task A_database_that_is_killed_beneath_it_comes_back()
    {
        await using var standalone = await StandaloneProcess.StartAsync(new StandaloneLaunch(_folder.Path));
        var first = PostgresProcess.Find(_folder.Path).ShouldNotBeNull();

        await PostgresProcess.KillAsync(_folder.Path);

        await Eventually.TrueAsync(() => PostgresProcess.Find(_folder.Path) is { } second && second != first, "another PostgreSQL");
        await Eventually.TrueAsync(async () => (await standalone.Http.GetAsync("/health/ready")).IsSuccessStatusCode, "/health/ready");
        (await standalone.StopAsync()).ShouldBe(0);
    }

    [Fact]
    public async Task Once_scores_the_sample_shows_its_first_rows_and_ends_with_0()
    {
        var (exitCode, output) = await StandaloneProcess.RunAsync(new StandaloneLaunch(_folder.Path) { Arguments = ["--once"] });

        exitCode.ShouldBe(0, output);
        output.ShouldContain("100.0 %  30,000 of 30,000 rows");
        output.ShouldContain("30,000 rows scored, 0 quarantined");
        output.ShouldContain("probability_default");
        Directory.GetFiles(_folder["results"], "_manifest.json", SearchOption.AllDirectories).ShouldHaveSingleItem();
        PostgresProcess.Find(_folder.Path).ShouldBeNull();
    }

    [Fact]
    public async Task The_password_is_in_no_output()
    {
        await using var standalone = await StandaloneProcess.StartAsync(new StandaloneLaunch(_folder.Path) { Profile = "Development" });
        await standalone.StopAsync();

        standalone.Output.ShouldNotContain(File.ReadAllText(_folder["postgres-password"]).Trim());
        File.ReadAllText(_folder["postgres/server.log"]).ShouldNotContain(File.ReadAllText(_folder["postgres-password"]).Trim());
    }

    [RootFact]
    public async Task An_ordinary_user_runs_it_too()
    {
        // nobody: initdb wants an account that has a name.
        const int uid = 65534;
        File.SetUnixFileMode(_folder.Path, (UnixFileMode)0b111_111_111);
        // The capability only lets the ordinary user read this clone, which may lie below root's home.
        string[] ordinary =
        [
            "setpriv", $"--reuid={uid}", $"--regid={uid}", "--clear-groups",
            "--securebits=+no_setuid_fixup", "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search",
        ];
        var launch = new StandaloneLaunch(_folder["data"]) { Launcher = ordinary, Environment = new Dictionary<string, string> { ["HOME"] = _folder.Path } };

        await using var standalone = await StandaloneProcess.StartAsync(launch);

        File.ReadAllText($"/proc/{standalone.ProcessId}/status").ShouldContain($"Uid:\t{uid}\t{uid}");
        File.ReadAllText($"/proc/{PostgresProcess.Find(launch.DataFolder)}/status").ShouldContain($"Uid:\t{uid}\t{uid}");
        (await standalone.StopAsync()).ShouldBe(0);
    }

    [RootFact]
    public async Task Root_without_the_capability_is_told_what_to_do_instead()
    {
        File.SetUnixFileMode(_folder.Path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        string[] lacking = ["setpriv", "--bounding-set=-dac_read_search"];

        var (exitCode, output) = await StandaloneProcess.RunAsync(new StandaloneLaunch(_folder["data"]) { Launcher = lacking });

        exitCode.ShouldBe(1);
        output.ShouldContain("dac_read_search");
        output.ShouldContain("--data");
    }

    [Fact]
    public async Task An_argument_that_means_nothing_is_refused_with_the_usage()
    {
        var (exitCode, output) = await StandaloneProcess.RunAsync(new StandaloneLaunch(_folder.Path) { Arguments = ["--dtaa"] });

        exitCode.ShouldBe(2);
        output.ShouldContain("--dtaa");
        output.ShouldContain("Usage:");
    }
}
