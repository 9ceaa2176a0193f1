using System.ComponentModel.DataAnnotations;

namespace GpuWorker;

/// <summary>How much of its machine a worker uses.</summary>
public sealed class GpuWorkerOptions
{
    public const string Section = "GpuWorker";

    /// <summary>Unique among workers and stable while the process lives. Default: empty, made from machine and process.</summary>
    public string WorkerName { get; set; } = "";

    /// <summary>URL at which the API reaches this worker. Default: empty, where it listens, by the machine's name if that is everywhere.</summary>
    public string Address { get; set; } = "";

    /// <summary>Units worked on at once, 0 to 256. Default: 0, one a core.</summary>
    [Range(0, 256)]
    public int Slots { get; set; }

    /// <summary>DuckDB threads of one unit, 0 to 256. Default: 0, the cores divided among the slots.</summary>
    [Range(0, 256)]
    public int ThreadsPerSlot { get; set; }

    /// <summary>Memory of all DuckDB instances together, in MiB, 64 to 1,048,576. Default: 512.</summary>
    [Range(64, 1_048_576)]
    public int DuckDbMemoryMegabytes { get; set; } = 512;

    /// <summary>Where a unit stops and asks to be cut, in seconds, 1 to 55: its message is held for less than a minute. Default: 45.</summary>
    [Range(1, 55)]
    public int UnitSeconds { get; set; } = 45;

    internal int EffectiveSlots => Slots > 0 ? Slots : Environment.ProcessorCount;

    internal int EffectiveThreads => ThreadsPerSlot > 0 ? ThreadsPerSlot : Math.Max(1, Environment.ProcessorCount / EffectiveSlots);

    // Below this DuckDB cannot hold one row group of a wide file.
    internal string MemoryLimitPerSlot => $"{Math.Max(64, DuckDbMemoryMegabytes / EffectiveSlots)}MiB";
}
