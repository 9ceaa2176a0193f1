using System.Buffers.Text;
using System.Globalization;
using System.Text;

namespace Api.Requests;

/// <summary>Where a page of a list ended, in the order of time and id.</summary>
sealed record ListPlace(DateTimeOffset At, Guid Id)
{
    public string Write() => Base64Url.EncodeToString(Encoding.ASCII.GetBytes($"{At.UtcTicks}.{Id:N}"));

    public static ListPlace? Read(string text)
    {
        if (!Base64Url.IsValid(text))
            return null;
        var parts = Encoding.ASCII.GetString(Base64Url.DecodeFromChars(text)).Split('.');
        return parts.Length == 2
            && long.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out var ticks) && ticks <= DateTimeOffset.MaxValue.UtcTicks
            && Guid.TryParseExact(parts[1], "N", out var id)
            ? new ListPlace(new DateTimeOffset(ticks, TimeSpan.Zero), id)
            : null;
    }
}
