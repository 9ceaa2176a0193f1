using Messaging.Postgres;
using Microsoft.EntityFrameworkCore;
using Sagas.BatchInference;
using Sagas.Models;
using Sagas.Security;
using Sagas.WorkLedger;

namespace Sagas.Persistence;

/// <summary>Every row of the platform, in schema <c>sagas</c>. Messages in transit are in schema <c>messaging</c>.</summary>
public class PlatformDbContext : DbContext
{
    public PlatformDbContext(DbContextOptions<PlatformDbContext> options)
        : base(options)
    {
    }

    protected PlatformDbContext(DbContextOptions options)
        : base(options)
    {
    }

    public DbSet<WorkJob> WorkJobs => Set<WorkJob>();
    public DbSet<WorkUnit> WorkUnits => Set<WorkUnit>();
    public DbSet<WorkWorker> WorkWorkers => Set<WorkWorker>();
    public DbSet<BatchJobState> BatchJobs => Set<BatchJobState>();
    public DbSet<RegisteredModel> Models => Set<RegisteredModel>();
    public DbSet<ModelAlias> ModelAliases => Set<ModelAlias>();
    public DbSet<ModelAliasMove> ModelAliasMoves => Set<ModelAliasMove>();
    public DbSet<ModelAdapter> ModelAdapters => Set<ModelAdapter>();
    public DbSet<IdempotentRequest> IdempotentRequests => Set<IdempotentRequest>();
    public DbSet<ApiKey> ApiKeys => Set<ApiKey>();
    public DbSet<AuditEntry> AuditEntries => Set<AuditEntry>();
    public DbSet<AuditHead> AuditHeads => Set<AuditHead>();

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        modelBuilder.HasDefaultSchema("sagas");
        modelBuilder.MapOutbox();
        modelBuilder.Entity<WorkJob>(job =>
        {
            job.ToTable("work_jobs").HasKey(j => j.Id);
            job.Property(j => j.Spec).HasColumnType("jsonb");
            job.Property(j => j.Inputs).HasColumnType("jsonb");
            job.Property(j => j.Failure).HasColumnType("jsonb");
        });
        modelBuilder.Entity<WorkUnit>(unit =>
        {
            unit.ToTable("work_units").HasKey(u => new { u.JobId, u.Unit });
            unit.Property(u => u.State).HasConversion<short>();
            unit.Property(u => u.Spec).HasColumnType("jsonb");
            unit.Property(u => u.Result).HasColumnType("jsonb");
            unit.Property(u => u.LastFailure).HasColumnType("jsonb");
        });
        modelBuilder.Entity<WorkWorker>().ToTable("work_workers").HasKey(w => w.Worker);
        modelBuilder.Entity<BatchJobState>(job =>
        {
            job.ToTable("batch_jobs").HasKey(j => j.CorrelationId);
            job.Property(j => j.Failure).HasColumnType("jsonb");
        });
        modelBuilder.Entity<RegisteredModel>(model =>
        {
            model.ToTable("models").HasKey(m => new { m.Tenant, m.Name, m.Version });
            model.Property(m => m.Signature).HasColumnType("jsonb");
            model.Property(m => m.Labels).HasColumnType("jsonb");
            model.Property(m => m.Files).HasColumnType("jsonb");
        });
        modelBuilder.Entity<ModelAlias>().ToTable("model_aliases").HasKey(a => new { a.Tenant, a.Model, a.Alias });
        modelBuilder.Entity<ModelAliasMove>().ToTable("model_alias_moves").HasKey(m => new { m.Tenant, m.Model, m.Alias, m.Seq });
        modelBuilder.Entity<ModelAdapter>().ToTable("model_adapters").HasKey(a => new { a.Tenant, a.Model, a.Version, a.Name });
        modelBuilder.Entity<IdempotentRequest>(request =>
        {
            request.ToTable("idempotent_requests").HasKey(r => new { r.Tenant, r.Route, r.Key });
            request.Property(r => r.Response).HasColumnType("jsonb");
        });
        modelBuilder.Entity<ApiKey>().ToTable("api_keys").HasKey(k => k.Id);
        modelBuilder.Entity<AuditEntry>().ToTable("audit_entries").HasKey(e => new { e.Tenant, e.Seq });
        modelBuilder.Entity<AuditHead>().ToTable("audit_heads").HasKey(h => h.Tenant);

        foreach (var entity in modelBuilder.Model.GetEntityTypes().Where(e => e.ClrType.Assembly == typeof(PlatformDbContext).Assembly))
            foreach (var property in entity.GetProperties())
                property.SetColumnName(SnakeCase(property.Name));
    }

    static string SnakeCase(string name) =>
        string.Concat(name.Select((c, i) => i > 0 && char.IsUpper(c) ? $"_{char.ToLowerInvariant(c)}" : $"{char.ToLowerInvariant(c)}"));
}
