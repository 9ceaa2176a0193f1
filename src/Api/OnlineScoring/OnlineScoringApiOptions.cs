using System.ComponentModel.DataAnnotations;
using Contracts.OnlineScoring;

namespace Api.OnlineScoring;

public sealed class OnlineScoringApiOptions
{
    public const string Section = "Api:OnlineScoring";

    /// <summary>Largest body, in bytes; the workers have <c>Online:MaxBodyBytes</c> for it. Default: 64 MiB.</summary>
    [Range(1024, 1L << 30)]
    public int MaxBodyBytes { get; set; } = 64 << 20;

    /// <summary>How long a request may take when its caller does not say, in milliseconds. Default: 10,000.</summary>
    [Range(1, ScoringTimeout.LongestMilliseconds)]
    public int TimeoutMilliseconds { get; set; } = 10_000;

    /// <summary>How long it is remembered which version a name or an alias means, in milliseconds: a move is seen after that. Default: 1,000.</summary>
    [Range(0, 60_000)]
    public int ResolvedMilliseconds { get; set; } = 1000;
}
