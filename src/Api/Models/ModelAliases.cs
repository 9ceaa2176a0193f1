using Api.Security;
using Api.Security.Audit;
using Contracts;
using MassTransit;
using Messaging.PlainJson;
using Microsoft.EntityFrameworkCore;
using Sagas.Models;
using Sagas.Persistence;

namespace Api.Models;

/// <summary>
/// Moves aliases. A move, its line in the history, its audit entry and its announcement are one transaction; moves of one tenant go one
/// after another, so that what is compared is what is changed.
/// </summary>
sealed class ModelAliases(PlatformDbContext db, IPublishEndpoint outbox, TimeProvider clock)
{
    /// <summary>Who moves and removes, and why.</summary>
    /// <param name="Expected">The version that the alias must be at; <see cref="Nowhere"/>: it must not exist; null: wherever it is.</param>
    internal sealed record Order(Caller Caller, string Model, string Alias, string? Expected, string Reason);

    public const string Nowhere = "none";

    /// <returns>Where the alias is now. Nothing is written when it was there already.</returns>
    /// <exception cref="FailureException"><c>alias_moved</c>: it is not where it was expected.</exception>
    public async Task<ModelAlias> MoveAsync(Order order, RegisteredModel target, CancellationToken cancellationToken)
    {
        await using var transaction = await db.Database.BeginTransactionAsync(cancellationToken);
        var current = await FindAsync(order, "model.alias.move", $"{order.Model}@{order.Alias}={target.Version}", cancellationToken);
        // Also when it was expected elsewhere: whoever asks again after a lost answer finds it done.
        if (current?.Version == target.Version)
            return current;
        Compare(order, current);

        var now = clock.GetUtcNow();
        var from = current?.Version;
        if (current is null)
            db.ModelAliases.Add(current = new ModelAlias { Tenant = order.Caller.Tenant, Model = order.Model, Alias = order.Alias, Version = target.Version, MovedBy = order.Caller.Id });
        (current.Version, current.MovedAt, current.MovedBy) = (target.Version, now, order.Caller.Id);
        await SaveAsync(order, from, target.Version, target, now, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return current;
    }

    /// <returns>False when there is no such alias.</returns>
    /// <exception cref="FailureException"><c>alias_moved</c>: it is not where it was expected.</exception>
    public async Task<bool> RemoveAsync(Order order, CancellationToken cancellationToken)
    {
        await using var transaction = await db.Database.BeginTransactionAsync(cancellationToken);
        if (await FindAsync(order, "model.alias.remove", $"{order.Model}@{order.Alias}", cancellationToken) is not { } current)
            return false;
        Compare(order, current);

        db.ModelAliases.Remove(current);
        var named = await db.Models.AsNoTracking().SingleAsync(m => m.Name == order.Model && m.Version == current.Version, cancellationToken);
        await SaveAsync(order, current.Version, null, named, clock.GetUtcNow(), cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return true;
    }

    // First the audit: the tenant's other moves wait for it until this transaction ends.
    async Task<ModelAlias?> FindAsync(Order order, string action, string subject, CancellationToken cancellationToken)
    {
        await db.AuditAsync(new AuditAction(order.Caller, action, subject, order.Reason), cancellationToken);
        return await db.ModelAliases.SingleOrDefaultAsync(a => a.Model == order.Model && a.Alias == order.Alias, cancellationToken);
    }

    static void Compare(Order order, ModelAlias? current)
    {
        if (order.Expected is null || order.Expected == (current?.Version ?? Nowhere))
            return;
        var found = current is null ? "is not there" : $"is at {current.Version}";
        throw new FailureException(
            "alias_moved", $"{order.Model}@{order.Alias} {found}, not at {order.Expected}: somebody moved it. Look again before you move it.",
            new FieldFailure("expected", "alias_moved", $"It {found}."));
    }

    async Task SaveAsync(Order order, string? from, string? to, RegisteredModel model, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var (caller, name, alias, _, reason) = order;
        var last = await db.ModelAliasMoves.Where(m => m.Model == name && m.Alias == alias).MaxAsync(m => (long?)m.Seq, cancellationToken) ?? 0;
        var move = new ModelAliasMove
        {
            Tenant = caller.Tenant,
            Model = name,
            Alias = alias,
            Seq = last + 1,
            FromVersion = from,
            ToVersion = to,
            At = now,
            Actor = caller.Id,
            ActorName = caller.Name,
            Reason = reason,
        };
        db.ModelAliasMoves.Add(move);
        var update = new ModelUpdate(
            to is null ? ModelUpdate.AliasRemoved : ModelUpdate.AliasMoved, caller.Tenant, name, model.Version, model.Description, model.Bytes, model.RowsPerSecond, now,
            ModelAliasView.PathOf(name, alias), alias, from);
        await outbox.PublishJson(update, NamedGuid.Of($"{update.Type}\n{caller.Tenant}\n{name}\n{alias}\n{move.Seq}"), update.Type, cancellationToken);
        await db.SaveChangesAsync(cancellationToken);
    }
}
