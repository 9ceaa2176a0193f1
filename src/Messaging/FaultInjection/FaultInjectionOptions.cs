using System.ComponentModel.DataAnnotations;

namespace Messaging.FaultInjection;

/// <summary>
/// What a bad network may do to messages, made to happen often. For tests. Each fault is drawn by itself: one message may come twice, and
/// late each time.
/// </summary>
public sealed class FaultInjectionOptions
{
    /// <summary>The same seed draws the same faults for the same order of messages.</summary>
    public int Seed { get; set; } = 1;

    /// <summary>Share of messages that arrive twice, 0 to 1.</summary>
    [Range(0, 1)]
    public double Twice { get; set; }

    /// <summary>Share of messages that arrive up to <see cref="LongestDelay"/> late, 0 to 1.</summary>
    [Range(0, 1)]
    public double Late { get; set; }

    /// <summary>Share of messages that the next one to the same endpoint overtakes, 0 to 1.</summary>
    [Range(0, 1)]
    public double Reordered { get; set; }

    /// <summary>Share of messages that never arrive, 0 to 1.</summary>
    [Range(0, 1)]
    public double Lost { get; set; }

    /// <summary>Default: 250 ms.</summary>
    public TimeSpan LongestDelay { get; set; } = TimeSpan.FromMilliseconds(250);

    /// <summary>Which messages suffer, by the name of their type, e.g. <c>ShardScored</c>. Default: all.</summary>
    public Func<string, bool> Applies { get; set; } = static _ => true;
}
