using System.Collections.Concurrent;
using Consumers.BatchInference;
using Contracts;
using Contracts.BatchInference;
using Contracts.WorkLedger;
using MassTransit;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Sagas.BatchInference;
using Sagas.WorkLedger;
using Support;

namespace Consumers.Tests;

/// <summary>What integrating systems hear of jobs.</summary>
[Trait("Category", "Server")]
public sealed class AnnouncementTests(PostgresServer server) : IClassFixture<PostgresServer>
{
    [Fact]
    public async Task The_end_of_a_job_is_told_with_the_ledgers_counts_and_the_senders_name()
    {
        await using var ledger = await LedgerHost.StartAsync(server);
        var job = await ledger.PlanAsync(2, tenant: "acme");
        await ledger.CommitAsync(LedgerHost.Scored(job, 0), LedgerHost.Scored(job, 1, quarantined: 1));
        await ledger.InScopeAsync((db, _, token) => db.WorkJobs.Where(j => j.Id == job).ExecuteUpdateAsync(s => s.SetProperty(j => j.Reference, "order-1"), token));

        await PublishAsync(ledger, new BatchJobCompleted(job, "acme", "file:///out/_manifest.json", "abc", 19, 1, WithErrors: true));

        var told = await OutputAsync(ledger, job);
        told.Type.ShouldBe("batch-job-completed");
        told.Status.ShouldBe("CompletedWithErrors");
        told.Tenant.ShouldBe("acme");
        told.Reference.ShouldBe("order-1");
        told.Rows.ShouldBe(new JobRows(20, 19, 1, 0, 0));
        (told.ManifestUri, told.ManifestSha256).ShouldBe(("file:///out/_manifest.json", "abc"));
        told.Links.ShouldBe(JobLinks.Of(job));
    }

    [Fact]
    public async Task Failure_and_cancellation_are_told_with_their_reason()
    {
        await using var ledger = await LedgerHost.StartAsync(server);
        var (failed, cancelled) = (await ledger.PlanAsync(2), await ledger.PlanAsync(2));
        await ledger.CommitAsync(LedgerHost.Scored(cancelled, 0));
        await ledger.StopAsync(cancelled);

        await PublishAsync(ledger, new BatchJobFailed(failed, "local", new Failure("input_changed", "It changed.", [new FieldFailure("input", "input_changed", "It changed.")])));
        await PublishAsync(ledger, new BatchJobCancelled(cancelled, "local", "wrong file"));

        var (failure, cancellation) = (await OutputAsync(ledger, failed), await OutputAsync(ledger, cancelled));
        (failure.Type, failure.Status, failure.Failure!.Code, failure.Failure.Fields.Count).ShouldBe(("batch-job-failed", "Failed", "input_changed", 1));
        failure.Rows.ShouldBe(new JobRows(20, 0, 0, 0, 20));
        (cancellation.Type, cancellation.Status, cancellation.Reason).ShouldBe(("batch-job-cancelled", "Cancelled", "wrong file"));
        cancellation.Rows.ShouldBe(new JobRows(20, 10, 0, 10, 0));
        cancellation.Failure.ShouldBeNull();
    }

    [Fact]
    public async Task Metrics_come_when_something_has_changed_and_from_one_node()
    {
        await using var ledger = await LedgerHost.StartAsync(server);
        var job = await RunningAsync(ledger, 4);
        // Two nodes on one database.
        using var one = Metrics(ledger);
        using var two = Metrics(ledger);
        await one.StartAsync(CancellationToken.None);
        await two.StartAsync(CancellationToken.None);

        var first = await MetricsAsync(ledger, job, m => m.RowsDone == 0);
        (first.Type, first.Tenant, first.Status, first.RowsTotal, first.ShardsTotal, first.RowsPerSecond).ShouldBe(("batch-job-progress", "local", "Scoring", 40, 4, null));
        await ledger.CommitAsync(LedgerHost.Scored(job, 0));
        var second = await MetricsAsync(ledger, job, m => m.RowsDone == 10);
        second.RowsPerSecond.ShouldNotBeNull();
        second.ShardsDone.ShouldBe(1);
        await ledger.CommitAsync(LedgerHost.Scored(job, 1), LedgerHost.Scored(job, 2), LedgerHost.Scored(job, 3));
        await MetricsAsync(ledger, job, m => m.RowsDone == 40);
        // A second job's first word comes after the leader has looked at the first one again.
        var other = await RunningAsync(ledger, 1);
        await MetricsAsync(ledger, other, _ => true);

        var all = ledger.Services.GetRequiredService<Told>().Metrics.Where(m => m.JobId == job).ToList();
        all.Select(m => (m.RowsDone, m.Status)).Distinct().Count().ShouldBe(all.Count);
        all.Zip(all.Skip(1)).ShouldAllBe(pair => pair.Second.At - pair.First.At >= TimeSpan.FromSeconds(0.99));
        await one.StopAsync(CancellationToken.None);
        await two.StopAsync(CancellationToken.None);
    }

    [Fact]
    public async Task Another_node_goes_on_when_the_one_that_tells_metrics_stops()
    {
        await using var ledger = await LedgerHost.StartAsync(server);
        using var one = Metrics(ledger);
        await one.StartAsync(CancellationToken.None);
        await MetricsAsync(ledger, await RunningAsync(ledger, 1), _ => true);
        using var two = Metrics(ledger);
        await two.StartAsync(CancellationToken.None);

        await one.StopAsync(CancellationToken.None);

        await MetricsAsync(ledger, await RunningAsync(ledger, 1), _ => true);
        await two.StopAsync(CancellationToken.None);
    }

    static JobMetrics Metrics(LedgerHost ledger) => new(
        ledger.Services.GetRequiredService<NpgsqlDataSource>(), ledger.Services.GetRequiredService<IBus>(), TimeProvider.System, NullLogger<JobMetrics>.Instance);

    static async Task<Guid> RunningAsync(LedgerHost ledger, int shards)
    {
        var job = await ledger.PlanAsync(shards);
        await ledger.InScopeAsync(async (db, _, token) =>
        {
            db.Add(new BatchJobState { CorrelationId = job, CurrentState = nameof(BatchJobStateMachine.Scoring), Tenant = "local" });
            await db.WorkJobs.Where(j => j.Id == job).ExecuteUpdateAsync(
                s => s.SetProperty(j => j.State, WorkJobState.Running).SetProperty(j => j.PlannedAt, TimeProvider.System.GetUtcNow()), token);
        });
        return job;
    }

    static Task PublishAsync<T>(LedgerHost ledger, T message) where T : class => ledger.InScopeAsync((_, outbox, token) => outbox.Publish(message, token));

    static async Task<BatchInferenceOutput> OutputAsync(LedgerHost ledger, Guid job)
    {
        var told = ledger.Services.GetRequiredService<Told>().Outputs;
        await Eventually.TrueAsync(() => told.Any(o => o.JobId == job), $"an event of job {job}");
        return told.Single(o => o.JobId == job);
    }

    static async Task<BatchMetrics> MetricsAsync(LedgerHost ledger, Guid job, Func<BatchMetrics, bool> which)
    {
        var told = ledger.Services.GetRequiredService<Told>().Metrics;
        await Eventually.TrueAsync(() => told.Any(m => m.JobId == job && which(m)), $"metrics of job {job}");
        return told.First(m => m.JobId == job && which(m));
    }
}

/// <summary>What outsiders would have read.</summary>
sealed class Told
{
    public ConcurrentQueue<BatchInferenceOutput> Outputs { get; } = [];

    public ConcurrentQueue<BatchMetrics> Metrics { get; } = [];
}

// One consumer an endpoint: plain JSON does not say which type it is to MassTransit.
sealed class PlainJsonReader<T> : ConsumerDefinition<T> where T : class, IConsumer
{
    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator, IConsumerConfigurator<T> consumerConfigurator, IRegistrationContext context) =>
        endpointConfigurator.UseRawJsonDeserializer(RawSerializerOptions.AnyMessageType, isDefault: true);
}

sealed class OutputReader(Told told) : IConsumer<BatchInferenceOutput>
{
    public Task Consume(ConsumeContext<BatchInferenceOutput> context)
    {
        told.Outputs.Enqueue(context.Message);
        return Task.CompletedTask;
    }
}

sealed class MetricsReader(Told told) : IConsumer<BatchMetrics>
{
    public Task Consume(ConsumeContext<BatchMetrics> context)
    {
        told.Metrics.Enqueue(context.Message);
        return Task.CompletedTask;
    }
}
