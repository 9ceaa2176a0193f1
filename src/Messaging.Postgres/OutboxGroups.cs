using MassTransit;
using Messaging.Postgres.Outbox;
using Microsoft.EntityFrameworkCore;

namespace Messaging.Postgres;

/// <summary>Messages that can be taken back together while they are unsent, such as all those of one job.</summary>
public static class OutboxGroups
{
    public static void SetGroupKey(this SendContext context, Guid key) => context.SetGroupKey(key.ToString("D"));

    public static void SetGroupKey(this SendContext context, string key) => context.AddOrUpdatePayload(() => new GroupKey(key), _ => new GroupKey(key));

    /// <summary>Deletes what is unsent, schedules included, in the current transaction. A message that is on its way right now may still arrive.</summary>
    public static Task<int> DeleteUnsentMessagesAsync(this DbContext db, Guid key, CancellationToken cancellationToken)
    {
        var text = key.ToString("D");
        return db.Set<OutboxMessage>().Where(m => m.GroupKey == text).ExecuteDeleteAsync(cancellationToken);
    }

    /// <summary>Deletes what is unsent of one message type.</summary>
    public static Task<int> DeleteUnsentMessagesAsync<T>(this DbContext db, Guid key, CancellationToken cancellationToken)
        where T : class => OfType<T>(db, key).ExecuteDeleteAsync(cancellationToken);

    public static Task<bool> HasUnsentMessagesAsync<T>(this DbContext db, Guid key, CancellationToken cancellationToken)
        where T : class => OfType<T>(db, key).AnyAsync(cancellationToken);

    static IQueryable<OutboxMessage> OfType<T>(DbContext db, Guid key)
        where T : class
    {
        var text = key.ToString("D");
        var urn = MessageUrn.ForTypeString<T>();
        return db.Set<OutboxMessage>().Where(m => m.GroupKey == text && (m.MessageType == urn || m.MessageType.StartsWith(urn + ";")));
    }
}
