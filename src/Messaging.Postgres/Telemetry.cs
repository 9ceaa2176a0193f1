using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace Messaging.Postgres;

public static class Telemetry
{
    public const string SourceName = "Sagas.Messaging";
    public const string MeterName = "Sagas.Messaging";

    internal static readonly ActivitySource Source = new(SourceName);
    static readonly Meter Meter = new(MeterName);

    internal static readonly Counter<long> Sent = Meter.CreateCounter<long>("messaging.outbox.sent", "{message}", "Messages sent from the outbox");
    internal static readonly Counter<long> Swept = Meter.CreateCounter<long>("messaging.outbox.swept", "{message}", "Messages the sweeper claimed: due schedules and lapsed leases");
    internal static readonly Counter<long> LeasesLapsed = Meter.CreateCounter<long>("messaging.outbox.leases_lapsed", "{message}", "Messages that their sender had not sent when the sweeper came to them");
    internal static readonly Counter<long> Failed = Meter.CreateCounter<long>("messaging.outbox.failed", "{message}", "Tries to send that failed because of the message itself");
    internal static readonly Counter<long> Dead = Meter.CreateCounter<long>("messaging.dead", "{message}", "Messages moved to the dead table");
    internal static readonly Counter<long> NeverSaved = Meter.CreateCounter<long>("messaging.outbox.never_saved", "{message}", "Messages published in a scope that ended without saving them");
    internal static readonly Counter<long> Bypassed = Meter.CreateCounter<long>("messaging.outbox.bypassed", "{message}", "Messages sent at once where an outbox was at hand");
    internal static readonly Counter<long> Requeued = Meter.CreateCounter<long>("messaging.dead.requeued", "{message}", "Dead letters sent again");
    internal static readonly Counter<long> Duplicates = Meter.CreateCounter<long>("messaging.inbox.duplicates", "{message}", "Messages dropped because their consumer had them already");
    internal static readonly Histogram<int> GroupSize = Meter.CreateHistogram<int>("messaging.group.size", "{message}", "Messages that shared a transaction");
    internal static readonly Counter<long> GroupsUndone = Meter.CreateCounter<long>("messaging.group.undone", "{transaction}", "Shared transactions that were undone, their messages then going one by one");
}
