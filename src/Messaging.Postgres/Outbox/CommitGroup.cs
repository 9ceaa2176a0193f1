using System.Collections.Concurrent;

namespace Messaging.Postgres.Outbox;

/// <summary>The groups of this host, one for each consumer on an endpoint.</summary>
sealed class CommitGroups(TimeProvider clock)
{
    readonly ConcurrentDictionary<Guid, CommitGroup> _groups = new();

    public CommitGroup Of(Guid consumer) => _groups.GetOrAdd(consumer, static (_, clock) => new CommitGroup(clock), clock);
}

/// <summary>
/// Lets the messages that wait at one endpoint share a transaction. A message that finds nobody goes at once and alone; those that come
/// while it runs wait, and then go together. Nothing is ever delayed for company.
/// </summary>
sealed class CommitGroup(TimeProvider clock)
{
    const int MostMembers = 32;

    readonly Lock _lock = new();
    readonly Queue<GroupMember> _waiting = new();
    bool _running;

    /// <exception cref="UndoneTogetherException">The message was with others, and something went wrong with one of them.</exception>
    public async Task RunAsync(GroupMember member)
    {
        lock (_lock)
        {
            if (_running)
                _waiting.Enqueue(member);
            else
                member.Lead();
            _running = true;
        }

        if (await member.LeadsAsync())
            await LeadAsync(member);
    }

    async Task LeadAsync(GroupMember leader)
    {
        var members = Gather(leader);
        try
        {
            await GroupTransaction.RunAsync(members, clock);
            foreach (var member in members.Skip(1))
                member.Committed();
        }
        catch (Exception exception) when (members.Count > 1)
        {
            Telemetry.GroupsUndone.Add(1);
            foreach (var member in members.Skip(1))
                member.Undone(new UndoneTogetherException(exception));
            throw new UndoneTogetherException(exception);
        }
        finally
        {
            PassOn();
        }
    }

    List<GroupMember> Gather(GroupMember leader)
    {
        List<GroupMember> members = [leader];
        lock (_lock)
        {
            while (members.Count < MostMembers && _waiting.TryDequeue(out var member))
            {
                if (!member.IsCancelled())
                    members.Add(member);
            }
        }

        return members;
    }

    void PassOn()
    {
        lock (_lock)
        {
            _running = _waiting.TryDequeue(out var next);
            next?.Lead();
        }
    }
}
