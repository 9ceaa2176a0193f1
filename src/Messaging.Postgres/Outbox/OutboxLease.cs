namespace Messaging.Postgres.Outbox;

/// <summary>How long a new or claimed row is its sender's own. The database's clock decides; the same interval is in the schema.</summary>
static class OutboxLease
{
    public static readonly TimeSpan Duration = TimeSpan.FromSeconds(10);

    // Half of it is left for a send that is under way when the other half has gone.
    public static readonly TimeSpan Usable = Duration / 2;

    public static readonly TimeSpan SendTimeout = TimeSpan.FromSeconds(5);
}
