using Api.Requests;
using Api.Security;
using Api.Security.Audit;
using Contracts;
using MassTransit;
using Messaging.PlainJson;
using Microsoft.AspNetCore.Http;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using Sagas.Models;
using Sagas.Persistence;

namespace Api.Models;

/// <summary>
/// Brings a file into the registry, once a worker has opened it and scored a few rows with it. The worker looks at it apart from
/// everything else: a file that kills its reader must not kill the API.
/// </summary>
sealed class ModelRegistration(
    PlatformDbContext db, InspectionWorker worker, IPublishEndpoint outbox, ModelFiles files, Idempotency idempotency, TenantQuotas quotas, TimeProvider clock)
{
    public const int LongestDescription = 2000;

    public static void Check(string? name, string? description, FieldErrors errors)
    {
        if (string.IsNullOrEmpty(name))
        {
            if (!errors.Has("name"))
                errors.Add("name", "field_missing", "Name the model.");
        }
        else if (!ModelName.IsName(name))
        {
            errors.Add("name", "name_invalid", ModelName.Rule);
        }

        if (description?.Length > LongestDescription)
            errors.Add("description", "out_of_range", $"Must be at most {LongestDescription} characters.");
    }

    /// <returns>201 for a new version, 200 for one that is there already.</returns>
    /// <exception cref="FailureException">It is no model that can be scored with, or no worker could tell.</exception>
    public async Task<Answer> RegisterAsync(
        Caller caller, string name, string? description, IncomingModel file, RequestKey? key, CancellationToken cancellationToken)
    {
        if (await idempotency.FindAsync(key, cancellationToken) is { } first)
            return first;
        if (await FindAsync(name, file.Version, cancellationToken) is { } known)
            return await idempotency.SaveAsync(key, Answer.Of(StatusCodes.Status200OK, known), () => Task.CompletedTask, cancellationToken);

        await quotas.CheckBytesAsync(file.Bytes, cancellationToken);
        await using var shown = await files.ShowAsync(caller.Tenant, file.Contents, cancellationToken);
        var inspected = await worker.AskAsync<InspectModel, ModelInspected>(new InspectModel(shown.Uri, file.Version, file.Files), file.Field, cancellationToken);
        var model = new RegisteredModel
        {
            Tenant = caller.Tenant,
            Name = name,
            Version = file.Version,
            Uri = await files.KeepAsync(caller.Tenant, file, shown, cancellationToken),
            Bytes = file.Bytes,
            Description = description ?? inspected.Signature.Metadata.GetValueOrDefault("description"),
            Signature = WireJson.Write(inspected.Signature),
            RowsPerSecond = inspected.RowsPerSecond,
            Files = file.Files is null ? null : WireJson.Write(file.Files),
            PeakLoadBytes = inspected.PeakLoadBytes,
            PeakBatchBytes = inspected.PeakBatchBytes,
            Golden = inspected.Golden is null ? null : WireJson.Write(inspected.Golden),
            RegisteredAt = clock.GetUtcNow(),
        };
        try
        {
            var created = Answer.Of(StatusCodes.Status201Created, ModelVersionView.Of(model), ModelVersionView.PathOf(model));
            return await idempotency.SaveAsync(key, created, async () =>
            {
                db.Models.Add(model);
                // First the row: whether it is new is known then.
                await db.SaveChangesAsync(cancellationToken);
                await AnnounceAsync(model, cancellationToken);
                await db.AuditAsync(new AuditAction(caller, "model.register", $"{name}@{model.Version}", null), cancellationToken);
            }, cancellationToken);
        }
        catch (DbUpdateException e) when (e.InnerException is PostgresException { SqlState: PostgresErrorCodes.UniqueViolation })
        {
            // Somebody registered the same file at the same time.
            db.ChangeTracker.Clear();
            var twin = await FindAsync(name, file.Version, cancellationToken) ?? throw new InvalidOperationException($"Version {file.Version} of {name} is both there and not.", e);
            return await idempotency.SaveAsync(key, Answer.Of(StatusCodes.Status200OK, twin), () => Task.CompletedTask, cancellationToken);
        }
    }

    Task AnnounceAsync(RegisteredModel model, CancellationToken cancellationToken)
    {
        var update = new ModelUpdate(
            ModelUpdate.VersionRegistered, model.Tenant, model.Name, model.Version, model.Description, model.Bytes, model.RowsPerSecond, model.RegisteredAt, ModelVersionView.PathOf(model));
        return outbox.PublishJson(update, NamedGuid.Of($"{update.Type}\n{model.Tenant}\n{model.Name}\n{model.Version}"), update.Type, cancellationToken);
    }

    async Task<ModelVersionView?> FindAsync(string name, string version, CancellationToken cancellationToken) =>
        await db.FindModelAsync(name, version, cancellationToken) is { } model ? ModelVersionView.Of(model) : null;
}
