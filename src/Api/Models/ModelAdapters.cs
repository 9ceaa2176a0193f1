using Api.Security;
using Api.Security.Audit;
using Contracts;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using Sagas.Models;
using Sagas.Persistence;

namespace Api.Models;

/// <summary>Brings a LoRA adapter into the registry, once a worker has run its base model with it.</summary>
sealed class ModelAdapters(PlatformDbContext db, InspectionWorker worker, ModelFiles files, TenantQuotas quotas, TimeProvider clock)
{
    /// <returns>The adapter, and whether it is new. The same file under the same name is there already.</returns>
    /// <exception cref="FailureException"><c>adapter_exists</c>: another file has the name. Or what the worker says is wrong with it.</exception>
    public async Task<(ModelAdapter Adapter, bool IsNew)> RegisterAsync(
        Caller caller, RegisteredModel model, string name, IncomingAdapter file, string field, CancellationToken cancellationToken)
    {
        if (await db.FindAdapterAsync(model, name, cancellationToken) is { } known)
            return (Same(known, file), false);

        await quotas.CheckBytesAsync(file.Bytes, cancellationToken);
        await using var shown = await files.ShowAsync(caller.Tenant, [file.Content], cancellationToken);
        await worker.AskAsync<InspectAdapter, AdapterInspected>(new InspectAdapter(shown.Uri, file.Sha256, model.Reference()), field, cancellationToken);
        var adapter = new ModelAdapter
        {
            Tenant = caller.Tenant,
            Model = model.Name,
            Version = model.Version,
            Name = name,
            Sha256 = file.Sha256,
            Uri = await files.KeepAsync(caller.Tenant, file, shown, cancellationToken),
            Bytes = file.Bytes,
            RegisteredAt = clock.GetUtcNow(),
            RegisteredBy = caller.Id,
        };
        try
        {
            await using var transaction = await db.Database.BeginTransactionAsync(cancellationToken);
            db.ModelAdapters.Add(adapter);
            await db.SaveChangesAsync(cancellationToken);
            await db.AuditAsync(new AuditAction(caller, "model.adapter.register", $"{model.Name}@{model.Version}+{name}", null), cancellationToken);
            await transaction.CommitAsync(cancellationToken);
            return (adapter, true);
        }
        catch (DbUpdateException e) when (e.InnerException is PostgresException { SqlState: PostgresErrorCodes.UniqueViolation })
        {
            // Somebody registered one of this name at the same time.
            db.ChangeTracker.Clear();
            var twin = await db.FindAdapterAsync(model, name, cancellationToken) ?? throw new InvalidOperationException($"The adapter {name} is both there and not.", e);
            return (Same(twin, file), false);
        }
    }

    static ModelAdapter Same(ModelAdapter known, IncomingAdapter file) => known.Sha256 == file.Sha256
        ? known
        : throw new FailureException("adapter_exists", $"{known.Model}@{known.Version} has another adapter {known.Name}. Give this one another name.",
            new FieldFailure("name", "adapter_exists", $"It has the sha256 {known.Sha256}."));
}
