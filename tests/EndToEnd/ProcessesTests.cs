using System.Net;
using Support;
using Xunit.Abstractions;

namespace EndToEnd;

/// <summary>Several processes of each host share the work, and start in any order.</summary>
[Trait("Category", "Server"), Collection(ProcessGroups.Name)]
public sealed class ProcessesTests(ProcessGroupFixture fixture, ITestOutputHelper output)
{
    ProcessGroup Group => fixture.Group;

    [Fact]
    public async Task Two_consumers_and_two_workers_share_the_work_and_do_nothing_twice()
    {
        var load = await JobLoad.PrepareAsync(Group);
        var before = await Group.CountAsync("SELECT coalesce(max(nr), 0) FROM public.transitions");

        await load.SubmitAsync(RunParameters.Of("SAGAS_JOBS", 60), TimeSpan.Zero);
        await load.ShouldEndOnceAsync(TimeSpan.FromMinutes(3));

        var nodes = await Group.QueryAsync<string>("SELECT node FROM public.transitions WHERE nr > $1", before);
        var workers = await Group.QueryAsync<string>("SELECT worker FROM sagas.work_units WHERE committed_at IS NOT NULL ORDER BY committed_at DESC LIMIT $1", load.Accepted);
        foreach (var group in new[] { nodes, workers })
        {
            var shares = group.GroupBy(name => name).ToDictionary(g => g.Key, g => g.Count());
            output.WriteLine(string.Join(", ", shares.Select(s => $"{s.Key}: {s.Value}")));
            shares.Count.ShouldBe(2);
            shares.Values.Min().ShouldBeGreaterThan(group.Count / 20);
        }
    }

    [Fact]
    public async Task Each_says_that_it_is_ready_and_any_api_tells_of_any_job_to_its_end()
    {
        var id = await Group.SubmitAsync(Scenarios.TenShards());

        // The Apis take turns: nobody asks the one that took the job alone.
        var streams = await Task.WhenAll(Group.EventsAsync(id).ToListAsync().AsTask(), Group.EventsAsync(id).ToListAsync().AsTask());

        streams.ShouldAllBe(events => events.Last().Progress.Status == "Completed" && events.Last().Progress.Percent == 100);
        var models = await Task.WhenAll(Group.Http.GetStringAsync("/api/v1/models"), Group.Http.GetStringAsync("/api/v1/models"));
        models[0].ShouldBe(models[1]);
    }

    [Fact]
    public async Task A_job_is_cancelled_through_another_api_than_the_one_that_took_it()
    {
        var id = await Group.SubmitAsync(Scenarios.SixtyShards());
        (await Group.Http.PostAsync($"{BatchJobs.Route}/{id}/cancel", null)).StatusCode.ShouldBe(HttpStatusCode.Accepted);

        (await Group.EndAsync(id)).Status.ShouldBe("Cancelled");
        await Group.ShouldKeepInvariantsAsync();
    }

    [Theory]
    [InlineData("Api", "ConnectionStrings:Sagas")]
    [InlineData("Consumers", "ConnectionStrings:Sagas")]
    [InlineData("Api", "Messaging:Transport")]
    [InlineData("Consumers", "Messaging:RabbitMq:Host")]
    [InlineData("GpuWorker", "Messaging:RabbitMq:Password")]
    [InlineData("GpuWorker", "Artifacts:ModelsRoot")]
    public async Task A_missing_setting_ends_the_host_with_a_sentence_that_names_it(string host, string missing)
    {
        var launch = Group.Launch(host switch { "Api" => 0, "Consumers" => 2, _ => 4 });
        var settings = launch.Settings.Where(setting => setting.Key != missing).ToDictionary();

        var (exitCode, printed) = await HostProcess.RunAsync(launch with { Settings = settings });

        exitCode.ShouldBe(1);
        printed.ShouldContain(missing);
        printed.ShouldNotContain("   at ");
        printed.ShouldNotContain(Group.Broker.Password);
    }

    [Theory]
    [InlineData("Api", "Authentication:ApiKeys:Enabled=true")]
    [InlineData("Consumers", "Health:Public=true")]
    [InlineData("GpuWorker", "Health:Public=true")]
    public async Task A_host_that_is_told_to_listen_everywhere_ends_with_a_sentence_that_says_what_to_set(string host, string whatToSet)
    {
        var launch = Group.Launch(host switch { "Api" => 0, "Consumers" => 2, _ => 4 });
        var settings = new Dictionary<string, string>(launch.Settings) { ["Kestrel:Endpoints:Public:Url"] = "http://0.0.0.0:0" };

        var (exitCode, printed) = await HostProcess.RunAsync(launch with { Settings = settings });

        exitCode.ShouldBe(1, printed);
        printed.ShouldContain("Kestrel:Endpoints:Public:Url=http://0.0.0.0:0");
        printed.ShouldContain(whatToSet);
        printed.ShouldNotContain("   at ");
    }

    [Fact]
    public async Task A_wrong_password_ends_the_host_with_an_exit_code_that_says_so()
    {
        var launch = Group.Launch(4);
        var settings = launch.Settings.ToDictionary();
        settings["Messaging:RabbitMq:Password"] = "not-the-password";

        var (exitCode, printed) = await HostProcess.RunAsync(launch with { Settings = settings });

        exitCode.ShouldBe(1, printed);
        printed.ShouldContain("Messaging:RabbitMq:Username");
        printed.ShouldNotContain("not-the-password");
    }
}
