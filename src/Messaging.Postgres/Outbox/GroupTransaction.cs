using System.Data;
using System.Data.Common;
using Messaging.Postgres.Inbox;
using Messaging.Postgres.SagaPersistence;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Storage;
using Npgsql;

namespace Messaging.Postgres.Outbox;

/// <summary>
/// The transaction of one message or of several: inbox rows (which are the lock too), the work of each, their outbox rows, commit.
/// Several messages share the statements for inbox, sagas and outbox; the work itself is done in turn, each on its own DbContext.
/// </summary>
static class GroupTransaction
{
    // Who waits longer for a lock than this, or in a circle, goes one by one and so lets the others go.
    static readonly TimeSpan LockTimeout = TimeSpan.FromMilliseconds(500);

    public static async Task RunAsync(IReadOnlyList<GroupMember> members, TimeProvider clock)
    {
        var leader = members[0];
        var cancellationToken = leader.CancellationToken;
        leader.Db.Database.AutoSavepointsEnabled = false;
        // Npgsql sends BEGIN together with the first statement, so this costs no round trip.
        await using var transaction = await leader.Db.Database.BeginTransactionAsync(IsolationLevel.ReadCommitted, cancellationToken);
        var connection = (NpgsqlConnection)leader.Db.Database.GetDbConnection();
        if (members.Count > 1)
        {
            await RunTogetherAsync(members, transaction, connection, clock);
            return;
        }

        leader.IsDuplicate = leader.Inbox is { } key && !await InboxTable.TryInsertAsync(connection, key, cancellationToken);
        if (leader.IsDuplicate)
        {
            await transaction.RollbackAsync(cancellationToken);
            return;
        }

        await leader.RunAloneAsync();
        await leader.Db.SaveChangesAsync(cancellationToken);
        leader.InsertedAt = clock.GetTimestamp();
        await OutboxTable.WriteAsync(connection, leader.Outbox.Cancelled, leader.Outbox.Messages, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
    }

    static async Task RunTogetherAsync(
        IReadOnlyList<GroupMember> members, IDbContextTransaction transaction, NpgsqlConnection connection, TimeProvider clock)
    {
        var cancellationToken = members[0].CancellationToken;
        Telemetry.GroupSize.Record(members.Count);
        var fresh = await InboxTable.InsertAsync(connection, [.. members.Select(m => m.Inbox!.Value)], LockTimeout, cancellationToken);
        List<GroupMember> consuming = [];
        foreach (var member in members)
        {
            member.IsDuplicate = !fresh.Remove(member.Inbox!.Value);
            if (!member.IsDuplicate)
                consuming.Add(member);
        }

        try
        {
            foreach (var member in consuming)
                await JoinAsync(member, members[0], transaction.GetDbTransaction(), connection);
            await ConsumeAsync(consuming, cancellationToken);

            var insertedAt = clock.GetTimestamp();
            consuming.ForEach(m => m.InsertedAt = insertedAt);
            await OutboxTable.WriteAsync(
                connection, [.. consuming.SelectMany(m => m.Outbox.Cancelled)], [.. consuming.SelectMany(m => m.Outbox.Messages)], cancellationToken);
            await transaction.CommitAsync(cancellationToken);
        }
        catch (Exception exception)
        {
            foreach (var member in consuming)
                await member.AbandonAsync(exception);
            throw;
        }
        finally
        {
            foreach (var member in consuming)
                Leave(member, members[0]);
        }
    }

    static async Task ConsumeAsync(List<GroupMember> members, CancellationToken cancellationToken)
    {
        foreach (var member in members)
        {
            await member.TakeTurnAsync();
            if (member.IsConsumed)
                await member.Db.SaveChangesAsync(cancellationToken);
        }

        var waiting = members.FindAll(m => !m.IsConsumed);
        await SagaRequest.LoadAsync(waiting.ConvertAll(m => m.Request!), cancellationToken);
        var unsaved = new UnsavedSagas();
        foreach (var member in waiting)
        {
            do
            {
                if (!member.Request!.IsLoaded)
                {
                    // What others, or the message itself, have done to the same saga must be seen.
                    await unsaved.SaveAsync(cancellationToken);
                    await member.Db.SaveChangesAsync(cancellationToken);
                    await member.Request.LoadAloneAsync(cancellationToken);
                }

                await member.TakeTurnAsync();
            }
            while (!member.IsConsumed);

            if (!unsaved.TryAdd(member.Db, member.Request))
                await member.Db.SaveChangesAsync(cancellationToken);
        }

        await unsaved.SaveAsync(cancellationToken);
    }

    static async Task JoinAsync(GroupMember member, GroupMember leader, DbTransaction transaction, NpgsqlConnection connection)
    {
        if (member == leader)
            return;
        var database = member.Db.Database;
        database.AutoSavepointsEnabled = false;
        database.SetDbConnection(connection);
        await database.UseTransactionAsync(transaction);
    }

    // A pooled DbContext outlives its scope, and must not keep the leader's connection.
    static void Leave(GroupMember member, GroupMember leader)
    {
        if (member == leader)
            return;
        var database = member.Db.Database;
        database.CurrentTransaction?.Dispose();
        database.SetDbConnection(null, contextOwnsConnection: true);
    }
}
