using System.ComponentModel.DataAnnotations;

namespace Sagas.WorkLedger;

public sealed class WorkLedgerOptions
{
    public const string Section = "WorkLedger";

    /// <summary>Jobs of one tenant that may use workers at the same time. Default: 3.</summary>
    [Range(1, 1000)]
    public int JobsPerTenant { get; init; } = 3;

    /// <summary>Units in flight per announced slot. Default: 2, one being worked on and one waiting at the worker.</summary>
    [Range(1, 100)]
    public int WindowPerSlot { get; init; } = 2;

    /// <summary>How long a unit may wait at a worker before another gets it. Default: 2 minutes.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
    public TimeSpan DispatchLease { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>How long a worker may be silent about a unit it is on. Default: 30 s, six heartbeats.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
    public TimeSpan RunLease { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a worker counts after its last announcement. Default: 15 s, three announcements.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
    public TimeSpan WorkerLease { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>How often the dispatcher looks even though nobody woke it. Default: 1 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00.010", "00:01:00")]
    public TimeSpan Poll { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>The reaper expires nothing for this long after its start: the heartbeats may only be late. Default: 30 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "01:00:00")]
    public TimeSpan ReaperGrace { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Reported failures after which a unit is halved. Default: 3.</summary>
    [Range(1, 100)]
    public int FailureLimit { get; init; } = 3;

    /// <summary>Leases lost while running after which a unit is halved. Default: 20.</summary>
    [Range(1, 1000)]
    public int CrashLimit { get; init; } = 20;
}
