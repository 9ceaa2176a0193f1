using System.Globalization;

namespace Contracts.OnlineScoring;

/// <summary>How long somebody waits for a score: 1 to <see cref="LongestMilliseconds"/> ms.</summary>
public static class ScoringTimeout
{
    public const int LongestMilliseconds = 60_000;

    /// <param name="header">What <see cref="ScoringHeaders.Timeout"/> says; null where it is absent.</param>
    /// <param name="usual">In milliseconds, for who does not say.</param>
    /// <exception cref="FailureException"><c>out_of_range</c>.</exception>
    public static TimeSpan Read(string? header, int usual) => Of(
        header is null ? null : int.TryParse(header, NumberStyles.None, CultureInfo.InvariantCulture, out var milliseconds) ? milliseconds : 0, usual, ScoringHeaders.Timeout);

    /// <param name="milliseconds">Null where nobody says.</param>
    /// <param name="field">What the caller calls it.</param>
    /// <inheritdoc cref="Read"/>
    public static TimeSpan Of(int? milliseconds, int usual, string field) => (milliseconds ?? usual) is > 0 and <= LongestMilliseconds and var asked
        ? TimeSpan.FromMilliseconds(asked)
        : throw new FailureException("out_of_range", $"{field} must be 1 to {LongestMilliseconds}.", new FieldFailure(field, "out_of_range", $"Must be 1 to {LongestMilliseconds}."));
}
