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
/// desk. A name starts one job: its id follows from the name, and whoever opens it holds a lock on that id. What is wrong in itself is
/// refused, once, and never in the way of what comes behind it.
/// </summary>
sealed partial class BatchJobIntake(
    PlatformDbContext db, IServiceScopeFactory scopes, ConsumeTransaction<PlatformDbContext> transaction, IOptions<BatchInferenceApiOptions> options,
    TimeProvider clock, ILogger<BatchJobIntake> logger) : IConsumer<RawMessage>
{
    const int MostFieldsNamed = 100;

    public async Task Consume(ConsumeContext<RawMessage> context)
    {
        IncomingJob? job = null;
        try
        {
            job = IncomingJob.Read(context.Message, options.Value);
            await StartAsync(context, job);
        }
        catch (FailureException e) when (!e.IsTransient)
        {
            var reference = job is null && context.Message.MessageId is { } id && IncomingJob.IsReference(id) ? id : job?.Reference;
            await RefuseAsync(context, reference, Shorten(e.Failure));
        }
    }

    async Task StartAsync(ConsumeContext<RawMessage> context, IncomingJob job)
    {
        var id = job.Reference is null ? Delivery(context) : IncomingJob.IdOf(Tenant.Local, job.Reference);
        if (!job.Errors.Any && await IsStartedAsync(id, job, context.CancellationToken))
            return;

        var spec = await JudgeAsync(Tenant.Local, job, context.CancellationToken);
        await transaction.RunAsync(context, async (_, outbox, token) =>
        {
            // Twins wait here for each other.
            await db.Database.ExecuteSqlAsync($"SELECT pg_advisory_xact_lock(hashtextextended({id.ToString()}, 0))", token);
            if (await IsStartedAsync(id, job, token))
                return;
            await BatchJobSubmission.OpenAsync(db, outbox, new NewBatchJob(id, Tenant.Local, spec, job.Reference, job.Sha256), clock.GetUtcNow(), token);
        });
    }

    // By what its tenant can see.
    async Task<BatchJobSpec> JudgeAsync(string tenant, IncomingJob job, CancellationToken cancellationToken)
    {
        await using var scope = scopes.CreateAsyncScope();
        scope.ServiceProvider.GetRequiredService<DataScope>().See(tenant);
        return await scope.ServiceProvider.GetRequiredService<BatchJobSpecs>().MakeAsync(job.Request, job.Errors, cancellationToken);
    }

    /// <exception cref="FailureException">The id is another request's.</exception>
    async Task<bool> IsStartedAsync(Guid id, IncomingJob job, CancellationToken cancellationToken)
    {
        var found = await db.WorkJobs.AsNoTracking().Where(j => j.Id == id).Select(j => new { j.Tenant, j.RequestSha256 }).SingleOrDefaultAsync(cancellationToken);
        if (found is null)
            return false;
        return found.Tenant == Tenant.Local && found.RequestSha256 == job.Sha256
            ? true
            : throw new FailureException("job_id_reused", "This jobId came with another request before, and that one stands. Use a new one for a new request.");
    }

    async Task RefuseAsync(ConsumeContext<RawMessage> context, string? reference, Failure failure)
    {
        LogRefused(failure.Code, failure.Message);
        var now = clock.GetUtcNow();
        var letter = reference is null
            ? Delivery(context)
            : NamedGuid.Of($"refused\n{Tenant.Local}\n{reference}\n{Convert.ToHexStringLower(SHA256.HashData(context.Message.Body))}");
        await transaction.RunAsync(context, async (_, outbox, token) =>
        {
            await outbox.RefuseAsync(letter, BatchQueues.Input, failure, options.Value.MaxMessageBytes, now, token);
            if (reference is null)
                return;
            var rejected = new BatchInferenceOutput(
                BatchEventTypes.Rejected, IncomingJob.IdOf(Tenant.Local, reference), reference, "Rejected", now, Failure: failure);
            await outbox.PublishJson(rejected, letter, BatchEventTypes.Rejected, token);
        });
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

    [LoggerMessage(LogLevel.Warning, "A message on batch-inference-input is refused and kept as a dead letter: {Code}: {Reason}")]
    partial void LogRefused(string code, string reason);
}

sealed class BatchJobIntakeDefinition : ConsumerDefinition<BatchJobIntake>
{
    public BatchJobIntakeDefinition()
    {
        EndpointName = BatchQueues.Input;
        // Each opens the first files of an input.
        ConcurrentMessageLimit = 4;
    }

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator, IConsumerConfigurator<BatchJobIntake> consumerConfigurator, IRegistrationContext context)
    {
        endpointConfigurator.ReceiveRawMessages();
        endpointConfigurator.UseTransientRetry();
    }
}
