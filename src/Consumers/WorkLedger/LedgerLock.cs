using Microsoft.EntityFrameworkCore;
using Sagas.Persistence;

namespace Consumers.WorkLedger;

/// <summary>Work that one node does for all: who gets the lock does it, until its transaction ends.</summary>
static class LedgerLock
{
    public const long Dispatcher = 0x5A6A_0001;
    public const long Reaper = 0x5A6A_0002;

    public static Task<bool> TryLockLedgerAsync(this PlatformDbContext db, long key, CancellationToken cancellationToken) =>
        db.Database.SqlQuery<bool>($"""SELECT pg_try_advisory_xact_lock({key}) AS "Value" """).SingleAsync(cancellationToken);
}
