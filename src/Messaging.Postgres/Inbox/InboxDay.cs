using System.Globalization;
using MassTransit;

namespace Messaging.Postgres.Inbox;

/// <summary>
/// Which day's partition remembers a message. Twins must ask the same one, whenever they arrive: the day is stamped when the outbox row
/// is made and travels with every copy.
/// </summary>
static class InboxDay
{
    public const string Header = "Inbox-Day";

    public static string Format(DateTime utc) => DateOnly.FromDateTime(utc).ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);

    public static DateOnly Of(ConsumeContext context, TimeProvider clock) =>
        DateOnly.TryParseExact(context.Headers.Get<string>(Header), "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out var day)
            ? day
            : DateOnly.FromDateTime(context.SentTime?.ToUniversalTime() ?? clock.GetUtcNow().UtcDateTime);
}
