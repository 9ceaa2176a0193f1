using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.ChangeTracking;
using Microsoft.EntityFrameworkCore.Metadata;

namespace Messaging.Postgres.SagaPersistence;

static class SagaRows
{
    /// <summary>Whether all there is to a saga is in the properties of its class, so that it can pass from one DbContext to another.</summary>
    public static bool ArePlain<TSaga>(DbContext db) => ArePlain(db.Model.FindEntityType(typeof(TSaga)));

    public static bool ArePlain(IEntityType? type) =>
        type is not null && !type.GetNavigations().Any() && !type.GetComplexProperties().Any() && type.GetProperties().All(p => !p.IsShadowProperty());
}

/// <summary>
/// The sagas that the members of a group have changed and nobody has saved yet. They are saved in one round trip.
/// </summary>
sealed class UnsavedSagas
{
    readonly List<EntityEntry> _changed = [];

    /// <summary>False: the message has changed more than its saga, and others might look at that.</summary>
    public bool TryAdd(DbContext db, SagaRequest request)
    {
        var changed = db.ChangeTracker.Entries().Where(e => e.State is not (EntityState.Unchanged or EntityState.Detached)).ToList();
        if (changed.Count == 0)
            return true;
        if (changed is not [var saga] || !request.Is(saga.Entity) || !SagaRows.ArePlain(saga.Metadata))
            return false;
        _changed.Add(saga);
        return true;
    }

    public async Task SaveAsync(CancellationToken cancellationToken)
    {
        if (_changed.Count == 0)
            return;
        var db = _changed[0].Context;
        foreach (var entry in _changed.Skip(1))
            Move(entry, db);
        await db.SaveChangesAsync(cancellationToken);
        _changed.Clear();
    }

    static void Move(EntityEntry entry, DbContext db)
    {
        var state = entry.State;
        var moved = db.Entry(entry.Entity);
        if (state == EntityState.Added)
        {
            moved.State = EntityState.Added;
        }
        else
        {
            moved.State = EntityState.Unchanged;
            moved.OriginalValues.SetValues(entry.OriginalValues);
            if (state == EntityState.Deleted)
                moved.State = EntityState.Deleted;
        }

        entry.State = EntityState.Detached;
    }
}
