using System.Globalization;

namespace Api.BatchInference;

/// <summary>What a viewer has seen when its connection broke, so that the next one never shows less.</summary>
sealed record ProgressEventId(long Rows, bool IsEnd)
{
    const string End = "-end";

    public string Write() => IsEnd ? $"{Rows}{End}" : $"{Rows}";

    public static ProgressEventId? Read(string? header)
    {
        var isEnd = header?.EndsWith(End, StringComparison.Ordinal) ?? false;
        return long.TryParse(isEnd ? header![..^End.Length] : header, NumberStyles.None, CultureInfo.InvariantCulture, out var rows)
            ? new ProgressEventId(rows, isEnd)
            : null;
    }
}
