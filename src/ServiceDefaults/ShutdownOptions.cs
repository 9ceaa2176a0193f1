using System.ComponentModel.DataAnnotations;

namespace ServiceDefaults;

public sealed class ShutdownOptions
{
    public const string Section = "Shutdown";

    /// <summary>Seconds for work in hand to end, below the 30 after which orchestrators kill. Default: 25.</summary>
    [Range(1, 600)]
    public int TimeoutSeconds { get; set; } = 25;
}
