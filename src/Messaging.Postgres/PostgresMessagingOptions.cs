using System.ComponentModel.DataAnnotations;

namespace Messaging.Postgres;

/// <summary>What this host does for durable messaging beside consuming.</summary>
public sealed class PostgresMessagingOptions
{
    public const string Section = $"{MessagingOptions.Section}:Postgres";

    /// <summary>Whether this host sends what others left behind, and schedules when due. At least one host must. Default: true.</summary>
    public bool Sweep { get; set; } = true;

    /// <summary>
    /// Whether a sweeping host keeps a connection of its own on which other hosts tell of due messages (LISTEN). Off, for example behind
    /// a pooler that cannot pass notices on, such messages wait for the sweeper's poll, at most 5 s. Default: true.
    /// </summary>
    public bool Listen { get; set; } = true;

    /// <summary>
    /// Whether this host moves dead letters to the table <c>messaging.dead</c>. At least one host must. Set in code alone. Default: true.
    /// </summary>
    public bool DrainDeadLetters { get; set; } = true;

    /// <summary>Rows the sweeper claims at once: a bound on its memory. 1 to 10,000. Default: 500.</summary>
    [Range(1, 10_000)]
    public int SweepBatch { get; set; } = 500;

    /// <summary>Tries after which a message that itself cannot be sent is dead. 1 to 100. Default: 10.</summary>
    [Range(1, 100)]
    public int MaxAttempts { get; set; } = 10;

    /// <summary>Wait after the first failed try; doubled after each further one, at most ten minutes. 1 ms to ten minutes. Default: 1 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00.001", "00:10:00")]
    public TimeSpan BackOff { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Whether unsent rows are freed from their leases before the first sweep. Right where nothing can be in flight at start, as on
    /// the in-memory bus; harmless elsewhere, since receivers drop twins. Default: when the transport is in-memory.
    /// </summary>
    public bool? FreeLeasesAtStart { get; set; }

    /// <summary>Days of inbox partitions kept. A twin that arrives later is not recognised. 2 to 365. Default: 7.</summary>
    [Range(2, 365)]
    public int InboxDays { get; set; } = 7;

    /// <summary>How often the figures of the outbox are read for its gauges. 1 s to an hour. Default: 15 s.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
    public TimeSpan GaugeInterval { get; set; } = TimeSpan.FromSeconds(15);
}
