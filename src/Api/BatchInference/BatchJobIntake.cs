using System.Security.Cryptography;
using Contracts;
using Contracts.BatchInference;
using MassTransit;
using Messaging;
using Messaging.PlainJson;
using Messaging.Postgres;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Sagas.Persistence;

namespace Api.BatchInference;

/// <summary>
/// Jobs that come as messages instead of requests. It lives in the API's host, which judges requests anyway: both doors lead to the same
/// desk. A name starts one job of its tenant: the id follows from both, and whoever opens it holds a lock on that id. What is wrong in
/// itself is refused, once, and never in the way of what comes behind it.
/// </summary>
sealed partial class BatchJobIntake(
    PlatformDbContext db, IServiceScopeFactory scopes, ConsumeTransaction<PlatformDbContext> transaction, IOptions<BatchInferenceApiOptions> options,
    TimeProvider clock, ILogger<BatchJobIntake> logger)
{
    const int MostFieldsNamed = 100;

    /// <param name="tenant">Whose every message on this queue is; null: each says it itself.</param>
    public async Task TakeAsync(ConsumeContext<RawMessage> context, string queue, string? tenant)
    {
        IncomingJob? job = null;
        try
        {
            job = IncomingJob.Read(context.Message, tenant, options.Value);
            if (job.Tenant is { } owner)
                await StartAsync(context, job, owner);
            else
                job.Errors.ThrowIfAny();
        }
        catch (FailureException e) when (!e.IsTransient)
        {
            var reference = job is null && context.Message.MessageId is { } id && IncomingJob.IsReference(id) ? id : job?.Reference;
            await RefuseAsync(context, queue, job?.Tenant ?? tenant, reference, Shorten(e.Failure));
        }
    }

    async Task StartAsync(ConsumeContext<RawMessage> context, IncomingJob job, string tenant)
    {
        var id = job.Reference is null ? Delivery(context) : IncomingJob.IdOf(tenant, job.Reference);
        if (!job.Errors.Any && await IsStartedAsync(id, tenant, job, context.CancellationToken))
            return;

        var spec = await JudgeAsync(tenant, job, context.CancellationToken);
        await transaction.RunAsync(context, async (_, outbox, token) =>
        {
            // Twins wait here for each other.
            await db.Database.ExecuteSqlAsync($"SELECT pg_advisory_xact_lock(hashtextextended({id.ToString()}, 0))", token);
            if (await IsStartedAsync(id, tenant, job, token))
                return;
            await BatchJobSubmission.OpenAsync(db, outbox, new NewBatchJob(id, tenant, spec, job.Reference, job.Sha256), clock.GetUtcNow(), token);
        });
    }

    // By what its tenant can see.
    async Task<BatchJobSpec> JudgeAsync(string tenant, IncomingJob job, CancellationToken cancellationToken)
    {
        await using var scope = scopes.CreateAsyncScope();
        scope.ServiceProvider.GetRequiredService<DataScope>().See(tenant);
        return await scope.ServiceProvider.GetRequiredService<BatchJobSpecs>().MakeAsync(tenant, job.Request, job.Errors, cancellationToken);
    }

    /// <exception cref="FailureException">The id is another request's.</exception>
    async Task<bool> IsStartedAsync(Guid id, string tenant, IncomingJob job, CancellationToken cancellationToken)
    {
        var found = await db.WorkJobs.AsNoTracking().Where(j => j.Id == id).Select(j => new { j.Tenant, j.RequestSha256 }).SingleOrDefaultAsync(cancellationToken);
        if (found is null)
            return false;
        return found.Tenant == tenant && found.RequestSha256 == job.Sha256
            ? true
            : throw new FailureException("job_id_reused", "This jobId came with another request before, and that one stands. Use a new one for a new request.");
    }

    /// <param name="tenant">Null: it did not say, and there is nobody to tell.</param>
    async Task RefuseAsync(ConsumeContext<RawMessage> context, string queue, string? tenant, string? reference, Failure failure)
    {
        LogRefused(queue, failure.Code, failure.Message);
        var now = clock.GetUtcNow();
        var letter = reference is null ? Delivery(context) : LetterId(queue, tenant, reference, context.Message.Body);
        await transaction.RunAsync(context, async (_, outbox, token) =>
        {
            await outbox.RefuseAsync(letter, queue, failure, options.Value.MaxMessageBytes, now, token);
            if (reference is null || tenant is null)
                return;
            var rejected = new BatchInferenceOutput(
                BatchEventTypes.Rejected, IncomingJob.IdOf(tenant, reference), tenant, reference, "Rejected", now, Failure: failure, Queue: queue);
            await outbox.PublishJson(rejected, letter, BatchEventTypes.Rejected, token);
        });
    }

    // The same body on another queue is another message.
    static Guid LetterId(string queue, string? tenant, string reference, byte[] body)
    {
        var text = $"refused\n{tenant}\n{reference}\n{Convert.ToHexStringLower(SHA256.HashData(body))}";
        return NamedGuid.Of(queue == BatchQueues.Input ? text : $"{text}\n{queue}");
    }

    // The same through all tries of one delivery: one whose commit was not heard of does not start a second job. Two deliveries of
    // a message without a name cannot be told from two messages.
    static Guid Delivery(ConsumeContext context) => context.ReceiveContext.GetOrAddPayload(() => new DeliveryId(NewId.NextSequentialGuid())).Value;

    static Failure Shorten(Failure failure) => failure.Fields.Count <= MostFieldsNamed
        ? failure
        : failure with
        {
            Message = $"{failure.Fields.Count} fields are wrong; the first {MostFieldsNamed} are named.",
            Fields = [.. failure.Fields.Take(MostFieldsNamed)],
        };

    sealed record DeliveryId(Guid Value);

    [LoggerMessage(LogLevel.Warning, "A message on {Queue} is refused and kept as a dead letter: {Code}: {Reason}")]
    partial void LogRefused(string queue, string code, string reason);
}
