using GpuWorker.BatchInference;
using Microsoft.Extensions.Options;

namespace GpuWorker.Tests.BatchInference;

public class RunningUnitsTests
{
    static readonly Guid Job = Guid.CreateVersion7();

    readonly RunningUnits units = new(Options.Create(new GpuWorkerOptions()), TimeProvider.System);

    [Fact]
    public void A_stop_ends_older_epochs_of_its_job_and_no_others()
    {
        using var old = units.Start(Job, 1, 1, 1)!;
        using var current = units.Start(Job, 2, 1, 1)!;
        using var other = units.Start(Guid.CreateVersion7(), 1, 1, 1)!;
        units.Stop(Job, 2);
        (old.End, current.End, other.End).ShouldBe((UnitEnd.Stopped, UnitEnd.None, UnitEnd.None));
        old.Token.IsCancellationRequested.ShouldBeTrue();
    }

    [Fact]
    public void What_comes_late_of_a_stopped_epoch_is_dropped_also_when_stops_come_in_the_wrong_order()
    {
        units.Stop(Job, 3);
        units.Stop(Job, 2);
        units.Start(Job, 2, 1, 1).ShouldBeNull();
        using var current = units.Start(Job, 3, 1, 1);
        current.ShouldNotBeNull();
    }

    [Fact]
    public void An_ended_unit_is_no_longer_listed()
    {
        var unit = units.Start(Job, 1, 1, 1)!;
        units.All.ShouldHaveSingleItem();
        unit.Dispose();
        units.All.ShouldBeEmpty();
        units.Stop(Job, 9);
    }

    [Fact]
    public void The_host_shutting_down_ends_a_unit()
    {
        using var shutdown = new CancellationTokenSource();
        using var unit = units.Start(Job, 1, 1, 1, shutdown.Token)!;
        shutdown.Cancel();
        unit.End.ShouldBe(UnitEnd.ShuttingDown);
    }
}
