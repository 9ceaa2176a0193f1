using Messaging.Postgres.Outbox;
using Microsoft.EntityFrameworkCore;

namespace Messaging.Postgres;

public static class MessagingModel
{
    /// <summary>Maps <c>messaging.outbox</c>, so that messages are saved in the batch of SaveChanges. Call it in OnModelCreating.</summary>
    public static void MapOutbox(this ModelBuilder modelBuilder) => modelBuilder.Entity<OutboxMessage>(row =>
    {
        row.ToTable("outbox", "messaging", table => table.ExcludeFromMigrations());
        row.HasKey(m => m.Id);
        row.Property(m => m.Id).HasColumnName("id").ValueGeneratedNever();
        row.Property(m => m.MessageId).HasColumnName("message_id");
        row.Property(m => m.Destination).HasColumnName("destination");
        row.Property(m => m.MessageType).HasColumnName("message_type");
        row.Property(m => m.ContentType).HasColumnName("content_type");
        row.Property(m => m.Headers).HasColumnName("headers");
        row.Property(m => m.Body).HasColumnName("body");
        row.Property(m => m.SentAt).HasColumnName("sent_at");
        row.Property(m => m.ExpiresAt).HasColumnName("expires_at");
        row.Property(m => m.VisibleAt).HasColumnName("visible_at").HasDefaultValueSql("clock_timestamp() + interval '10 seconds'");
        row.Property(m => m.DueAt).HasColumnName("due_at");
        row.Property(m => m.TokenId).HasColumnName("token_id");
        row.Property(m => m.GroupKey).HasColumnName("group_key");
        row.Property(m => m.Attempts).HasColumnName("attempts");
        row.Property(m => m.LastError).HasColumnName("last_error");
    });
}
