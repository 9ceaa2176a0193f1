using System.Buffers.Text;
using System.Globalization;
using System.Text;
using Sagas.WorkLedger;

namespace Api.BatchInference;

/// <summary>Where a page of jobs ended.</summary>
sealed record ListPlace(DateTimeOffset At, Guid Id)
{
    public static ListPlace Of(WorkJob job) => new(job.AcceptedAt, job.Id);

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
