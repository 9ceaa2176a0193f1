using Microsoft.EntityFrameworkCore;
using Sagas.BatchInference;
using Sagas.Models;
using Sagas.Security;
using Sagas.WorkLedger;

namespace Sagas.Persistence;

/// <summary>
/// The rows of one tenant: by query filters here, and by row-level security in PostgreSQL, which does not trust these filters
/// (see <see cref="TenantCommands"/>).
/// </summary>
public sealed class TenantDbContext(DbContextOptions<TenantDbContext> options) : PlatformDbContext(options)
{
    /// <summary>Empty: nobody's rows.</summary>
    public string Tenant { get; internal set; } = "";

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        base.OnModelCreating(modelBuilder);
        modelBuilder.Entity<WorkJob>().HasQueryFilter(row => row.Tenant == Tenant);
        modelBuilder.Entity<WorkUnit>().HasQueryFilter(row => row.Tenant == Tenant);
        modelBuilder.Entity<BatchJobState>().HasQueryFilter(row => row.Tenant == Tenant);
        modelBuilder.Entity<RegisteredModel>().HasQueryFilter(row => row.Tenant == Tenant);
        modelBuilder.Entity<ModelAlias>().HasQueryFilter(row => row.Tenant == Tenant);
        modelBuilder.Entity<ModelAliasMove>().HasQueryFilter(row => row.Tenant == Tenant);
        modelBuilder.Entity<ModelAdapter>().HasQueryFilter(row => row.Tenant == Tenant);
        modelBuilder.Entity<IdempotentRequest>().HasQueryFilter(row => row.Tenant == Tenant);
        modelBuilder.Entity<ApiKey>().HasQueryFilter(row => row.Tenant == Tenant);
        modelBuilder.Entity<AuditEntry>().HasQueryFilter(row => row.Tenant == Tenant);
    }
}
