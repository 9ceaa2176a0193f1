using Xunit.Abstractions;

namespace EndToEnd;

/// <summary>Who watches a job hears of it all the time, never of a step back, and at the end of 100 %.</summary>
[Trait("Category", "Server"), Collection(PlatformGroup.Name)]
public sealed class ProgressTests(PlatformFixture fixture, ITestOutputHelper output)
{
    Platform Platform => fixture.Platform;

    [Fact]
    public async Task Progress_comes_every_second_never_goes_back_and_ends_at_100_percent()
    {
        var id = await Platform.SubmitAsync(Scenarios.SixtyShards());

        var heard = await Platform.EventsAsync(id).ToListAsync();

        ShouldRiseToTheEnd(heard);
        var gaps = heard.Zip(heard.Skip(1), (one, next) => next.Since - one.Since).ToList();
        output.WriteLine($"{heard.Count} events in {heard[^1].Since.TotalSeconds:N1} s, at most {gaps.Max().TotalSeconds:N2} s apart");
        heard.Count.ShouldBeGreaterThanOrEqualTo((int)heard[^1].Since.TotalSeconds);
        // A second, and what a busy machine adds to it.
        gaps.Max().ShouldBeLessThan(TimeSpan.FromSeconds(3));
        heard[^1].Progress.RowsDone.ShouldBe(30_000);
    }

    [Fact]
    public async Task Who_comes_back_after_a_kill_hears_nothing_less_than_before()
    {
        var id = await Platform.SubmitAsync(Scenarios.SixtyShards());
        var heard = new List<ProgressEvent>();
        await foreach (var progress in Platform.EventsAsync(id))
        {
            heard.Add(progress);
            if (progress.Progress.ShardsDone >= 10)
                break;
        }

        await Platform.KillAsync();
        await Platform.StartAgainAsync();
        heard.AddRange(await Platform.EventsAsync(id, heard[^1].Id).ToListAsync());

        ShouldRiseToTheEnd(heard);
        heard[^1].Progress.Status.ShouldBe("Completed");
        // 204, so that an event source stays away.
        (await Platform.EventsAsync(id, heard[^1].Id).ToListAsync()).ShouldBeEmpty();
    }

    [Fact]
    public async Task Who_comes_late_hears_the_end_once()
    {
        var job = await Platform.RunAsync(Scenarios.TenShards());

        var heard = await Platform.EventsAsync(job.Id).ToListAsync();

        heard.ShouldHaveSingleItem().Progress.Percent.ShouldBe(100);
    }

    static void ShouldRiseToTheEnd(List<ProgressEvent> heard)
    {
        heard.Select(e => e.Progress.RowsDone).ShouldBeInOrder();
        heard.Select(e => e.Progress.Percent).ShouldBeInOrder();
        heard[^1].Progress.Percent.ShouldBe(100);
        heard.Count(e => e.Progress.Percent == 100).ShouldBe(1);
    }
}
