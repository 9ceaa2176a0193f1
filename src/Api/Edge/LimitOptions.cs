using System.ComponentModel.DataAnnotations;

namespace Api.Edge;

/// <summary>How much anybody may ask for. What is over a limit is refused at once, and never waits.</summary>
public sealed class LimitOptions
{
    public const string Section = "Limits";

    /// <summary>Requests of one caller a second, in the long run. Default: 100.</summary>
    [Range(1, 1_000_000)]
    public int CallerRequests { get; init; } = 100;

    /// <summary>Requests of one caller at once. Default: 200.</summary>
    [Range(1, 1_000_000)]
    public int CallerBurst { get; init; } = 200;

    /// <summary>Requests of all callers of a tenant a second, in the long run. Default: 500.</summary>
    [Range(1, 1_000_000)]
    public int TenantRequests { get; init; } = 500;

    /// <summary>Requests of all callers of a tenant at once. Default: 1,000.</summary>
    [Range(1, 1_000_000)]
    public int TenantBurst { get; init; } = 1000;

    /// <summary>Requests without a valid key or token from one address a second; wrong keys count. Default: 20.</summary>
    [Range(1, 1_000_000)]
    public int StrangerRequests { get; init; } = 20;

    /// <summary>Such requests at once. Default: 100.</summary>
    [Range(1, 1_000_000)]
    public int StrangerBurst { get; init; } = 100;

    /// <summary>Scoring requests a second of one caller, which are counted apart from the others. Default: 5,000.</summary>
    [Range(1, 1_000_000)]
    public int CallerScores { get; init; } = 5000;

    /// <summary>Such requests at once. Default: 10,000.</summary>
    [Range(1, 1_000_000)]
    public int CallerScoresBurst { get; init; } = 10_000;

    /// <summary>Requests of one caller that are worked on at once; the next wait for them. Default: 0, two a core.</summary>
    [Range(0, 1_000_000)]
    public int CallerAtOnce { get; init; }

    internal int EffectiveAtOnce => CallerAtOnce > 0 ? CallerAtOnce : 2 * Environment.ProcessorCount;

    /// <summary>How long a refusal for too many requests is held back, of the second or more it asks for. Default: 250 ms.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:00:01")]
    public TimeSpan RefusalDelay { get; init; } = TimeSpan.FromMilliseconds(250);

    /// <summary>Event streams that one caller has open. Default: 50.</summary>
    [Range(1, 1_000_000)]
    public int CallerStreams { get; init; } = 50;

    /// <summary>Event streams that all callers of a tenant have open. Default: 500.</summary>
    [Range(1, 1_000_000)]
    public int TenantStreams { get; init; } = 500;

    /// <summary>Whether rates and streams are limited too where nobody has to say who they are. Default: false.</summary>
    public bool ApplyLocally { get; init; }

    /// <summary>Largest body of a request, in bytes; a model's file has <c>Api:MaxModelBytes</c>. Default: 1 MiB.</summary>
    [Range(1024, 1 << 30)]
    public int BodyBytes { get; init; } = 1 << 20;

    /// <summary>Open connections. Default: 10,000.</summary>
    [Range(1, 1_000_000)]
    public int Connections { get; init; } = 10_000;

    /// <summary>How long a request's head may take. Default: 10 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00.100", "00:10:00")]
    public TimeSpan HeadTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long a connection may be idle. Default: 60 s.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
    public TimeSpan IdleTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Least speed of a body, in bytes a second, after 5 s. Default: 240.</summary>
    [Range(1, 1_000_000)]
    public double LeastBytesPerSecond { get; init; } = 240;

    /// <summary>Addresses of proxies whose <c>X-Forwarded-For</c> is believed. Default: none.</summary>
    public string[] Proxies { get; init; } = [];
}
