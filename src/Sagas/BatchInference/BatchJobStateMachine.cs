using Contracts;
using Contracts.BatchInference;
using Contracts.WorkLedger;
using MassTransit;
using Microsoft.Extensions.Options;

namespace Sagas.BatchInference;

/// <summary>
/// Some ten messages a job, whether it has 10 shards or 10,000: the ledger counts shards, the saga decides what comes next.
/// A job without a saga row yet is shown as <c>Submitted</c>.
/// </summary>
public sealed class BatchJobStateMachine : MassTransitStateMachine<BatchJobState>
{
    public BatchJobStateMachine(IOptions<BatchSagaOptions> options)
    {
        var waits = options.Value;

        InstanceState(job => job.CurrentState);

        Event(() => Submitted, e => e.CorrelateById(c => c.Message.JobId));
        Event(() => CancelRequested, e => e.CorrelateById(c => c.Message.JobId));
        Event(() => Admitted, e => { e.CorrelateById(c => c.Message.JobId); e.OnMissingInstance(m => m.Discard()); });
        Event(() => ConversionPlanned, e => { e.CorrelateById(c => c.Message.JobId); e.OnMissingInstance(m => m.Discard()); });
        Event(() => FilesConverted, e => { e.CorrelateById(c => c.Message.JobId); e.OnMissingInstance(m => m.Discard()); });
        Event(() => Planned, e => { e.CorrelateById(c => c.Message.JobId); e.OnMissingInstance(m => m.Discard()); });
        Event(() => PlanFailed, e => { e.CorrelateById(c => c.Message.JobId); e.OnMissingInstance(m => m.Discard()); });
        Event(() => ShardsCommitted, e => { e.CorrelateById(c => c.Message.JobId); e.OnMissingInstance(m => m.Discard()); });
        Event(() => WorkFailed, e => { e.CorrelateById(c => c.Message.JobId); e.OnMissingInstance(m => m.Discard()); });
        Event(() => WorkStopped, e => { e.CorrelateById(c => c.Message.JobId); e.OnMissingInstance(m => m.Discard()); });
        Event(() => Published, e => { e.CorrelateById(c => c.Message.JobId); e.OnMissingInstance(m => m.Discard()); });
        Event(() => PublicationFailed, e => { e.CorrelateById(c => c.Message.JobId); e.OnMissingInstance(m => m.Discard()); });
        Event(() => Resumed, e => { e.CorrelateById(c => c.Message.JobId); e.OnMissingInstance(m => m.Discard()); });

        Schedule(() => StepTimeout, job => job.StepTimeoutToken, s => { s.Delay = waits.StepTimeout; s.Received = e => { e.CorrelateById(c => c.Message.JobId); e.OnMissingInstance(m => m.Discard()); }; });
        Schedule(() => QueueTimeout, job => job.QueueTimeoutToken, s => { s.Delay = waits.QueueDeadline; s.Received = e => { e.CorrelateById(c => c.Message.JobId); e.OnMissingInstance(m => m.Discard()); }; });
        Schedule(() => Deadline, job => job.DeadlineToken, s => { s.DelayProvider = c => TimeSpan.FromSeconds(c.Saga.DeadlineSeconds); s.Received = e => { e.CorrelateById(c => c.Message.JobId); e.OnMissingInstance(m => m.Discard()); }; });

        Initially(
            When(Submitted).RememberRequest().AskForAdmission().StartQueueDeadline(this).WaitAtMostAStep(this).TransitionTo(Queued),
            // The order to cancel may overtake the order to start: the job ends before it begins.
            When(CancelRequested).RememberWhoCancelled().AskToStopWork().WaitAtMostAStep(this).TransitionTo(Cancelling));

        During(Queued,
            When(Admitted).StopQueueDeadline(this).StartDeadline(this).RequestPlan(0).WaitAtMostAStep(this).TransitionTo(Planning),
            When(StepTimeout.Received).AskForAdmission().WaitAtMostAStep(this),
            When(Resumed).AskForAdmission().WaitAtMostAStep(this),
            When(QueueTimeout.Received).RememberFailure(QueueDeadlinePassed).AskToStopWork().WaitAtMostAStep(this).TransitionTo(Cancelling));

        During(Planning,
            When(ConversionPlanned).WaitAtMostAStep(this),
            When(FilesConverted).RequestPlan(1).WaitAtMostAStep(this),
            When(Planned).WaitAtMostAStep(this).TransitionTo(Scoring),
            When(PlanFailed).RememberFailure().Fail(this, waits).TransitionTo(Failed),
            When(WorkFailed).RememberFailure().Fail(this, waits).TransitionTo(Failed),
            When(StepTimeout.Received).RequestPlanAgain().CheckWork().WaitAtMostAStep(this),
            When(Resumed).RequestPlanAgain().CheckWork().WaitAtMostAStep(this));

        During(Scoring,
            When(ShardsCommitted).RememberCounts().RequestPublication().WaitAtMostAStep(this).TransitionTo(Publishing),
            When(WorkFailed).RememberFailure().Fail(this, waits).TransitionTo(Failed),
            When(StepTimeout.Received).CheckWork().WaitAtMostAStep(this),
            When(Resumed).CheckWork().WaitAtMostAStep(this));

        During(Planning, Scoring,
            When(Deadline.Received).RememberFailure(DeadlinePassed).AskToStopWork().WaitAtMostAStep(this).TransitionTo(Cancelling));

        During(Queued, Planning, Scoring,
            When(CancelRequested).RememberWhoCancelled().AskToStopWork().WaitAtMostAStep(this).TransitionTo(Cancelling));

        // The order to cancel was lost after the ledger had obeyed it.
        During(Queued, Planning, Scoring,
            When(WorkStopped).RememberWhyStopped().AnnounceCancellation(this, waits).TransitionTo(Cancelled));

        // A plan that was ready before its shards' end was heard of here: both facts are true, in either order.
        During(Planning,
            When(ShardsCommitted).RememberCounts().RequestPublication().WaitAtMostAStep(this).TransitionTo(Publishing));

        During(Publishing,
            When(Published).RememberManifest().AnnounceCompletion(this, waits)
                .IfElse(c => c.Message.Quarantined == 0, none => none.TransitionTo(Completed), some => some.TransitionTo(CompletedWithErrors)),
            When(PublicationFailed).RememberFailure().Fail(this, waits).TransitionTo(Failed),
            When(StepTimeout.Received)
                .IfElse(c => c.Saga.Asks < waits.AskLimit,
                    again => again.RequestPublication().WaitAtMostAStep(this),
                    enough => enough.RememberFailure(NoAnswer).Fail(this, waits).TransitionTo(Failed)),
            When(Resumed).RequestPublication().WaitAtMostAStep(this));

        During(Cancelling,
            When(WorkStopped).RememberWhyStopped()
                .IfElse(c => c.Saga.Failure is null,
                    cancelled => cancelled.AnnounceCancellation(this, waits).TransitionTo(Cancelled),
                    failed => failed.Fail(this, waits).TransitionTo(Failed)),
            // The last shard was committed before the stop got its lock: the result stands.
            When(ShardsCommitted).ForgetTheStop().RememberCounts().RequestPublication().WaitAtMostAStep(this).TransitionTo(Publishing),
            When(WorkFailed).RememberFailure().Fail(this, waits).TransitionTo(Failed),
            When(StepTimeout.Received)
                .IfElse(c => c.Saga.Asks < waits.AskLimit,
                    again => again.AskToStopWork().WaitAtMostAStep(this),
                    enough => enough.RememberFailure(NoAnswer).Fail(this, waits).TransitionTo(Failed)),
            When(Resumed).AskToStopWork().WaitAtMostAStep(this));

        // Late, repeated or reordered: each was true once, none changes anything now.
        During(Queued,
            Ignore(Submitted), Ignore(ConversionPlanned), Ignore(FilesConverted), Ignore(Planned), Ignore(PlanFailed), Ignore(ShardsCommitted),
            Ignore(WorkFailed), Ignore(Published), Ignore(PublicationFailed), Ignore(Deadline.Received));
        During(Planning,
            Ignore(Submitted), Ignore(Admitted), Ignore(Published), Ignore(PublicationFailed), Ignore(QueueTimeout.Received));
        During(Scoring,
            Ignore(Submitted), Ignore(Admitted), Ignore(ConversionPlanned), Ignore(FilesConverted), Ignore(Planned), Ignore(PlanFailed),
            Ignore(Published), Ignore(PublicationFailed), Ignore(QueueTimeout.Received));
        During(Publishing,
            Ignore(Submitted), Ignore(CancelRequested), Ignore(Admitted), Ignore(ConversionPlanned), Ignore(FilesConverted), Ignore(Planned),
            Ignore(PlanFailed), Ignore(ShardsCommitted), Ignore(WorkFailed), Ignore(WorkStopped), Ignore(QueueTimeout.Received), Ignore(Deadline.Received));
        During(Cancelling,
            Ignore(Submitted), Ignore(CancelRequested), Ignore(Admitted), Ignore(ConversionPlanned), Ignore(FilesConverted), Ignore(Planned),
            Ignore(PlanFailed), Ignore(Published), Ignore(PublicationFailed), Ignore(QueueTimeout.Received), Ignore(Deadline.Received));
        During([Completed, CompletedWithErrors, Failed, Cancelled],
            Ignore(Submitted), Ignore(CancelRequested), Ignore(Admitted), Ignore(ConversionPlanned), Ignore(FilesConverted), Ignore(Planned),
            Ignore(PlanFailed), Ignore(ShardsCommitted), Ignore(WorkFailed), Ignore(WorkStopped), Ignore(Published), Ignore(PublicationFailed),
            Ignore(Resumed), Ignore(StepTimeout.Received), Ignore(QueueTimeout.Received), Ignore(Deadline.Received));
    }

    public State Queued { get; } = null!;
    public State Planning { get; } = null!;
    public State Scoring { get; } = null!;
    public State Publishing { get; } = null!;
    public State Cancelling { get; } = null!;
    public State Completed { get; } = null!;
    public State CompletedWithErrors { get; } = null!;
    public State Failed { get; } = null!;
    public State Cancelled { get; } = null!;

    public Event<SubmitBatchJob> Submitted { get; } = null!;
    public Event<JobAdmitted> Admitted { get; } = null!;
    public Event<BatchConversionPlanned> ConversionPlanned { get; } = null!;
    public Event<AllFilesConverted> FilesConverted { get; } = null!;
    public Event<BatchPlanned> Planned { get; } = null!;
    public Event<BatchPlanFailed> PlanFailed { get; } = null!;
    public Event<AllShardsCommitted> ShardsCommitted { get; } = null!;
    public Event<BatchWorkFailed> WorkFailed { get; } = null!;
    public Event<WorkStopped> WorkStopped { get; } = null!;
    public Event<ResultsPublished> Published { get; } = null!;
    public Event<PublicationFailed> PublicationFailed { get; } = null!;
    public Event<CancelBatchJob> CancelRequested { get; } = null!;
    public Event<ResumeBatchJob> Resumed { get; } = null!;

    public Schedule<BatchJobState, BatchStepTimedOut> StepTimeout { get; } = null!;
    public Schedule<BatchJobState, BatchQueueTimedOut> QueueTimeout { get; } = null!;
    public Schedule<BatchJobState, BatchJobTimedOut> Deadline { get; } = null!;

    /// <summary>States from which nothing moves any more, as stored.</summary>
    public static IReadOnlyList<string> FinalStates { get; } = [nameof(Completed), nameof(CompletedWithErrors), nameof(Failed), nameof(Cancelled)];

    static readonly Failure QueueDeadlinePassed = new("queue_deadline",
        "The job was not admitted before its queue deadline. Wait until fewer jobs run, or raise WorkLedger:JobsPerTenant.");

    static readonly Failure DeadlinePassed = new("deadline",
        "The job did not finish before its deadline. Submit it again with a longer deadlineSeconds or with more workers.");

    public static Failure NoAnswer { get; } = new("no_answer",
        "A step of the job did not answer although it was asked again and again. See the dead letters of its endpoint.");
}

static class BatchJobVerbs
{
    public static EventActivityBinder<BatchJobState, SubmitBatchJob> RememberRequest(this EventActivityBinder<BatchJobState, SubmitBatchJob> step) =>
        step.Then(c =>
        {
            c.Saga.Tenant = c.Message.Tenant;
            c.Saga.DeadlineSeconds = c.Message.Spec.DeadlineSeconds;
        });

    public static EventActivityBinder<BatchJobState, CancelBatchJob> RememberWhoCancelled(this EventActivityBinder<BatchJobState, CancelBatchJob> step) =>
        step.Then(c =>
        {
            c.Saga.Tenant = c.Message.Tenant;
            c.Saga.CancelReason = c.Message.Reason;
        });

    public static EventActivityBinder<BatchJobState, T> AskForAdmission<T>(this EventActivityBinder<BatchJobState, T> step) where T : class =>
        step.Publish(c => new AdmitJob(c.Saga.CorrelationId));

    public static EventActivityBinder<BatchJobState, T> RequestPlan<T>(this EventActivityBinder<BatchJobState, T> step, int planStep) where T : class =>
        step.Then(c => c.Saga.PlanStep = planStep).RequestPlanAgain();

    public static EventActivityBinder<BatchJobState, T> RequestPlanAgain<T>(this EventActivityBinder<BatchJobState, T> step) where T : class =>
        step.Publish(c => new PlanBatchJob(c.Saga.CorrelationId, c.Saga.PlanStep));

    public static EventActivityBinder<BatchJobState, T> CheckWork<T>(this EventActivityBinder<BatchJobState, T> step) where T : class =>
        step.Publish(c => new CheckWork(c.Saga.CorrelationId));

    // Totals come from the ledger, never from counting messages: the broker may deliver one twice.
    public static EventActivityBinder<BatchJobState, AllShardsCommitted> RememberCounts(this EventActivityBinder<BatchJobState, AllShardsCommitted> step) =>
        step.Then(c =>
        {
            c.Saga.Scored = c.Message.Scored;
            c.Saga.Quarantined = c.Message.Quarantined;
        });

    public static EventActivityBinder<BatchJobState, T> RequestPublication<T>(this EventActivityBinder<BatchJobState, T> step) where T : class =>
        step.Publish(c => new PublishResults(c.Saga.CorrelationId));

    public static EventActivityBinder<BatchJobState, ResultsPublished> RememberManifest(this EventActivityBinder<BatchJobState, ResultsPublished> step) =>
        step.Then(c =>
        {
            c.Saga.ManifestUri = c.Message.ManifestUri;
            c.Saga.ManifestSha256 = c.Message.ManifestSha256;
        });

    public static EventActivityBinder<BatchJobState, T> AskToStopWork<T>(this EventActivityBinder<BatchJobState, T> step) where T : class =>
        step.Publish(c => new StopWork(c.Saga.CorrelationId, c.Saga.CancelReason ?? "deadline"));

    public static EventActivityBinder<BatchJobState, WorkStopped> RememberWhyStopped(this EventActivityBinder<BatchJobState, WorkStopped> step) =>
        step.Then(c => c.Saga.CancelReason ??= c.Message.Reason);

    public static EventActivityBinder<BatchJobState, AllShardsCommitted> ForgetTheStop(this EventActivityBinder<BatchJobState, AllShardsCommitted> step) =>
        step.Then(c =>
        {
            c.Saga.Failure = null;
            c.Saga.CancelReason = null;
        });

    public static EventActivityBinder<BatchJobState, BatchPlanFailed> RememberFailure(this EventActivityBinder<BatchJobState, BatchPlanFailed> step) =>
        step.Then(c => c.Saga.Failure = WireJson.Write(c.Message.Failure));

    public static EventActivityBinder<BatchJobState, BatchWorkFailed> RememberFailure(this EventActivityBinder<BatchJobState, BatchWorkFailed> step) =>
        step.Then(c => c.Saga.Failure = WireJson.Write(c.Message.Failure));

    public static EventActivityBinder<BatchJobState, PublicationFailed> RememberFailure(this EventActivityBinder<BatchJobState, PublicationFailed> step) =>
        step.Then(c => c.Saga.Failure = WireJson.Write(c.Message.Failure));

    public static EventActivityBinder<BatchJobState, T> RememberFailure<T>(this EventActivityBinder<BatchJobState, T> step, Failure failure) where T : class =>
        step.Then(c => c.Saga.Failure = WireJson.Write(failure));

    public static EventActivityBinder<BatchJobState, T> WaitAtMostAStep<T>(this EventActivityBinder<BatchJobState, T> step, BatchJobStateMachine machine)
        where T : class =>
        step.Then(c => c.Saga.Asks = c.Message is BatchStepTimedOut ? c.Saga.Asks + 1 : 0)
            .Schedule(machine.StepTimeout, c => new BatchStepTimedOut(c.Saga.CorrelationId));

    public static EventActivityBinder<BatchJobState, T> StartQueueDeadline<T>(this EventActivityBinder<BatchJobState, T> step, BatchJobStateMachine machine)
        where T : class =>
        step.Schedule(machine.QueueTimeout, c => new BatchQueueTimedOut(c.Saga.CorrelationId));

    public static EventActivityBinder<BatchJobState, T> StopQueueDeadline<T>(this EventActivityBinder<BatchJobState, T> step, BatchJobStateMachine machine)
        where T : class =>
        step.Unschedule(machine.QueueTimeout);

    public static EventActivityBinder<BatchJobState, T> StartDeadline<T>(this EventActivityBinder<BatchJobState, T> step, BatchJobStateMachine machine)
        where T : class =>
        step.Schedule(machine.Deadline, c => new BatchJobTimedOut(c.Saga.CorrelationId));

    public static EventActivityBinder<BatchJobState, ResultsPublished> AnnounceCompletion(
        this EventActivityBinder<BatchJobState, ResultsPublished> step, BatchJobStateMachine machine, BatchSagaOptions waits) =>
        step.Publish(c => new BatchJobCompleted(c.Saga.CorrelationId, c.Saga.Tenant, c.Message.ManifestUri, c.Message.ManifestSha256,
                c.Message.Scored, c.Message.Quarantined, c.Message.Quarantined > 0))
            .End(machine, waits);

    public static EventActivityBinder<BatchJobState, WorkStopped> AnnounceCancellation(
        this EventActivityBinder<BatchJobState, WorkStopped> step, BatchJobStateMachine machine, BatchSagaOptions waits) =>
        step.Publish(c => new BatchJobCancelled(c.Saga.CorrelationId, c.Saga.Tenant, c.Saga.CancelReason ?? "cancelled"))
            .End(machine, waits);

    public static EventActivityBinder<BatchJobState, T> Fail<T>(
        this EventActivityBinder<BatchJobState, T> step, BatchJobStateMachine machine, BatchSagaOptions waits) where T : class =>
        step.Publish(c => new BatchJobFailed(c.Saga.CorrelationId, c.Saga.Tenant, WireJson.Read<Failure>(c.Saga.Failure!)))
            .End(machine, waits);

    static EventActivityBinder<BatchJobState, T> End<T>(
        this EventActivityBinder<BatchJobState, T> step, BatchJobStateMachine machine, BatchSagaOptions waits) where T : class =>
        step.Then(c => c.Saga.EndedAt = c.SentTime)
            .Unschedule(machine.StepTimeout)
            .Unschedule(machine.QueueTimeout)
            .Unschedule(machine.Deadline)
            .ThenAsync(c => c.ScheduleCleanUp(waits.CleanUpDelay));

    static Task<ScheduledMessage<CleanUpWork>> ScheduleCleanUp(this BehaviorContext<BatchJobState> context, TimeSpan delay) =>
        context.GetPayload<MessageSchedulerContext>()
            .SchedulePublish(context.GetPayload<ConsumeContext>().SentTime is { } sent ? sent + delay : throw new InvalidOperationException("The message has no sent time."),
                new CleanUpWork(context.Saga.CorrelationId), context.CancellationToken);
}
