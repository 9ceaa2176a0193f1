using System.ComponentModel.DataAnnotations;

namespace Api.OnlineScoring;

public sealed class OnlineScoringApiOptions
{
    public const string Section = "Api:OnlineScoring";
    public const int LongestTimeoutMilliseconds = 60_000;

    /// <summary>Largest body, in bytes. Default: 64 MiB.</summary>
    [Range(1024, 1L << 30)]
    public int MaxBodyBytes { get; set; } = 64 << 20;

    /// <summary>How long a request may take when its caller does not say, in milliseconds. Default: 10,000.</summary>
    [Range(1, LongestTimeoutMilliseconds)]
    public int TimeoutMilliseconds { get; set; } = 10_000;

    /// <summary>How long it is remembered which version a name or an alias means, in milliseconds: a move is seen after that. Default: 1,000.</summary>
    [Range(0, 60_000)]
    public int ResolvedMilliseconds { get; set; } = 1000;

    /// <exception cref="Contracts.FailureException">Out of range.</exception>
    internal TimeSpan Timeout(int? asked, string field) => asked is null ? TimeSpan.FromMilliseconds(TimeoutMilliseconds)
        : asked is > 0 and <= LongestTimeoutMilliseconds ? TimeSpan.FromMilliseconds(asked.Value)
        : throw new Contracts.FailureException("out_of_range", $"{field} must be 1 to {LongestTimeoutMilliseconds}.",
            new Contracts.FieldFailure(field, "out_of_range", $"Must be 1 to {LongestTimeoutMilliseconds}."));
}
