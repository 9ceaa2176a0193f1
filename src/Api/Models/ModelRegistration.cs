using Api.Requests;
using Api.Security;
using Api.Security.Audit;
using Contracts;
using MassTransit;
using Messaging;
using Messaging.PlainJson;
using Messaging.Postgres;
using Microsoft.AspNetCore.Http;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;
using Npgsql;
using Sagas.Models;
using Sagas.Persistence;

namespace Api.Models;

/// <summary>
/// Brings a file into the registry, once a worker has opened it and scored a few rows with it. The worker looks at it apart from
/// everything else: a file that kills its reader must not kill the API.
/// </summary>
sealed class ModelRegistration(
    PlatformDbContext db, IBus bus, IPublishEndpoint outbox, ModelFiles files, Idempotency idempotency, TenantQuotas quotas,
    IOptions<ApiOptions> options, TimeProvider clock)
{
    public const int LongestDescription = 2000;
    static readonly TimeSpan ToSend = TimeSpan.FromSeconds(2);

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
        if (await FindAsync(name, file.Sha256, cancellationToken) is { } known)
            return await idempotency.SaveAsync(key, Answer.Of(StatusCodes.Status200OK, known), () => Task.CompletedTask, cancellationToken);

        await quotas.CheckBytesAsync(file.Bytes, cancellationToken);
        var inspected = await InspectAsync(file, cancellationToken);
        var model = new RegisteredModel
        {
            Tenant = caller.Tenant,
            Name = name,
            Version = file.Sha256,
            Uri = files.Keep(caller.Tenant, file),
            Bytes = file.Bytes,
            Description = description ?? inspected.Signature.Metadata.GetValueOrDefault("description"),
            Signature = WireJson.Write(inspected.Signature),
            RowsPerSecond = inspected.RowsPerSecond,
            PeakLoadBytes = inspected.PeakLoadBytes,
            PeakBatchBytes = inspected.PeakBatchBytes,
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
            var twin = await FindAsync(name, file.Sha256, cancellationToken) ?? throw new InvalidOperationException($"Version {file.Sha256} of {name} is both there and not.", e);
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

    // By the bus itself: the scope's own client would write the question to the outbox, where it waits for a commit that waits for the answer.
    async Task<ModelInspected> InspectAsync(IncomingModel file, CancellationToken cancellationToken)
    {
        try
        {
            var client = bus.CreateRequestClient<InspectModel>(RequestTimeout.After(ms: (int)options.Value.InspectTimeout.TotalMilliseconds));
            // On a thread of its own: the first question of a process blocks its caller until the broker is there.
            var question = Task.Run(() => client.GetResponse<ModelInspected, ModelRefused>(
                new InspectModel(file.Uri, file.Sha256), message => message.UseExecute(context => context.BypassOutbox()), cancellationToken), cancellationToken);
            // The client's own time begins when its question is sent, which it is not while the broker is away.
            var answer = await question.WaitAsync(options.Value.InspectTimeout + ToSend, clock, cancellationToken);
            if (answer.Is(out Response<ModelRefused>? refused))
                throw Refused(file, refused!.Message.Failure);
            return answer.Is(out Response<ModelInspected>? inspected) ? inspected!.Message : throw new InvalidOperationException("Neither answer came.");
        }
        catch (RequestTimeoutException e)
        {
            throw new FailureException(new Failure("no_worker", "No worker looked at the model in time. Try again when a worker runs."), isTransient: true, e);
        }
        catch (Exception e) when (e is TimeoutException || TransientError.IsOutage(e))
        {
            throw new FailureException(new Failure("no_worker", "No worker can be asked: the broker is away. Try again later."), isTransient: true, e);
        }
        catch (RequestFaultException e)
        {
            throw Refused(file, new Failure("model_unusable", $"The model could not be opened: {e.Fault?.Exceptions.FirstOrDefault()?.Message}"), e);
        }
    }

    // The worker names the model's inputs; the caller gave a file that has them.
    static FailureException Refused(IncomingModel file, Failure failure, Exception? inner = null)
    {
        IReadOnlyList<FieldFailure> fields = failure.Fields.Count == 0
            ? [new FieldFailure(file.Field, failure.Code, failure.Message)]
            : [.. failure.Fields.Select(f => f with { Field = $"{file.Field}.{f.Field}" })];
        return new FailureException(failure with { Fields = fields }, inner: inner);
    }
}
