using System.Diagnostics;
using Microsoft.EntityFrameworkCore;
using Sagas.Persistence;

namespace Api.Security.Audit;

/// <param name="Action">Such as <c>batch-job.cancel</c>.</param>
/// <param name="Subject">Id of what it is done to.</param>
/// <param name="Reason">Null where none is asked for.</param>
sealed record AuditAction(Caller Caller, string Action, string Subject, string? Reason);

static class AuditLog
{
    /// <summary>
    /// Adds to the audit of the tenant whose rows the context sees, in the caller's transaction: what is done and that it was done are
    /// committed together. Until then the tenant's other actions wait.
    /// </summary>
    public static Task AuditAsync(this PlatformDbContext db, AuditAction action, CancellationToken cancellationToken)
    {
        var (caller, name, subject, reason) = action;
        return db.Database.ExecuteSqlAsync(
            $"SELECT sagas.append_audit({caller.Id}, {caller.Name}, {name}, {subject}, {reason}, {Activity.Current?.Id})", cancellationToken);
    }
}
