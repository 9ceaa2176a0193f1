using Contracts;
using Contracts.BatchInference;
using Contracts.WorkLedger;
using MassTransit.Testing;
using Sagas.BatchInference;

namespace Sagas.Tests;

public sealed class BatchJobStateMachineTests
{
    static readonly Failure Broken = new("input_missing", "The file is gone.");

    [Fact]
    public async Task Completes_when_everything_goes_well()
    {
        await using var jobs = await BatchJobs.StartAsync();
        await jobs.Publish(jobs.Submit());
        await jobs.ShouldReach("Queued");
        await jobs.Publish(new JobAdmitted(jobs.JobId));
        await jobs.ShouldReach("Planning");
        await jobs.Publish(new BatchPlanned(jobs.JobId, 8, 1000));
        await jobs.ShouldReach("Scoring");
        await jobs.Publish(new AllShardsCommitted(jobs.JobId, 1000, 0));
        await jobs.ShouldReach("Publishing");
        await jobs.Publish(new ResultsPublished(jobs.JobId, "file:///m.json", "abc", 1000, 0));
        await jobs.ShouldReach("Completed");

        (await jobs.Harness.Published.Any<AdmitJob>()).ShouldBeTrue();
        (await jobs.Harness.Published.Any<PlanBatchJob>(m => m.Context.Message.Step == 0)).ShouldBeTrue();
        (await jobs.Harness.Published.Any<PublishResults>()).ShouldBeTrue();
        (await jobs.Harness.Published.Any<BatchJobCompleted>(m => m.Context.Message is { Scored: 1000, WithErrors: false })).ShouldBeTrue();
        jobs.ShouldHaveNoFaults();
    }

    [Fact]
    public async Task Says_that_rows_are_missing_when_some_were_quarantined()
    {
        await using var jobs = await BatchJobs.StartAsync();
        await ReachScoring(jobs);
        await jobs.Publish(new AllShardsCommitted(jobs.JobId, 990, 10));
        await jobs.ShouldReach("Publishing");
        await jobs.Publish(new ResultsPublished(jobs.JobId, "file:///m.json", "abc", 990, 10));
        await jobs.ShouldReach("CompletedWithErrors");
        jobs.ShouldHaveNoFaults();
    }

    [Fact]
    public async Task Plans_again_when_text_files_are_converted()
    {
        await using var jobs = await BatchJobs.StartAsync();
        await jobs.Publish(jobs.Submit());
        await jobs.ShouldReach("Queued");
        await jobs.Publish(new JobAdmitted(jobs.JobId));
        await jobs.ShouldReach("Planning");
        await jobs.Publish(new BatchConversionPlanned(jobs.JobId, 3));
        await jobs.Publish(new AllFilesConverted(jobs.JobId));
        (await jobs.Harness.Published.Any<PlanBatchJob>(m => m.Context.Message.Step == 1)).ShouldBeTrue();
        await jobs.Publish(new BatchPlanned(jobs.JobId, 8, 1000));
        await jobs.ShouldReach("Scoring");
        jobs.ShouldHaveNoFaults();
    }

    [Fact]
    public async Task Fails_with_the_planners_reason()
    {
        await using var jobs = await BatchJobs.StartAsync();
        await jobs.Publish(jobs.Submit());
        await jobs.ShouldReach("Queued");
        await jobs.Publish(new JobAdmitted(jobs.JobId));
        await jobs.ShouldReach("Planning");
        await jobs.Publish(new BatchPlanFailed(jobs.JobId, Broken));
        await jobs.ShouldReach("Failed");
        (await jobs.Harness.Published.Any<BatchJobFailed>(m => m.Context.Message.Failure.Code == Broken.Code)).ShouldBeTrue();
        jobs.ShouldHaveNoFaults();
    }

    [Theory]
    [InlineData("Queued")]
    [InlineData("Planning")]
    [InlineData("Scoring")]
    public async Task Is_cancelled_from(string state)
    {
        await using var jobs = await BatchJobs.StartAsync();
        await Reach(jobs, state);
        await jobs.Publish(new CancelBatchJob(jobs.JobId, "local", "wrong file"));
        await jobs.ShouldReach("Cancelling");
        (await jobs.Harness.Published.Any<StopWork>()).ShouldBeTrue();
        await jobs.Publish(new WorkStopped(jobs.JobId, "wrong file"));
        await jobs.ShouldReach("Cancelled");
        (await jobs.Harness.Published.Any<BatchJobCancelled>(m => m.Context.Message.Reason == "wrong file")).ShouldBeTrue();
        jobs.ShouldHaveNoFaults();
    }

    [Fact]
    public async Task Is_cancelled_before_it_was_heard_of()
    {
        await using var jobs = await BatchJobs.StartAsync();
        await jobs.Publish(new CancelBatchJob(jobs.JobId, "local", "never mind"));
        await jobs.ShouldReach("Cancelling");
        await jobs.Publish(jobs.Submit());
        await jobs.Publish(new WorkStopped(jobs.JobId, "never mind"));
        await jobs.ShouldReach("Cancelled");
        jobs.ShouldHaveNoFaults();
    }

    [Fact]
    public async Task Keeps_its_result_when_the_stop_came_too_late()
    {
        await using var jobs = await BatchJobs.StartAsync();
        await ReachScoring(jobs);
        await jobs.Publish(new CancelBatchJob(jobs.JobId, "local", "too late"));
        await jobs.ShouldReach("Cancelling");
        await jobs.Publish(new AllShardsCommitted(jobs.JobId, 1000, 0));
        await jobs.ShouldReach("Publishing");
        await jobs.Publish(new ResultsPublished(jobs.JobId, "file:///m.json", "abc", 1000, 0));
        await jobs.ShouldReach("Completed");
        jobs.ShouldHaveNoFaults();
    }

    [Fact]
    public async Task Stops_its_work_at_the_deadline_and_fails()
    {
        await using var jobs = await BatchJobs.StartAsync();
        await jobs.Publish(jobs.Submit(deadlineSeconds: 0));
        await jobs.ShouldReach("Queued");
        await jobs.Publish(new JobAdmitted(jobs.JobId));
        await jobs.ShouldReach("Cancelling");
        await jobs.Publish(new WorkStopped(jobs.JobId, "deadline"));
        await jobs.ShouldReach("Failed");
        (await jobs.Harness.Published.Any<BatchJobFailed>(m => m.Context.Message.Failure.Code == "deadline")).ShouldBeTrue();
        jobs.ShouldHaveNoFaults();
    }

    [Theory]
    [InlineData("Queued")]
    [InlineData("Planning")]
    [InlineData("Scoring")]
    [InlineData("Publishing")]
    [InlineData("Cancelling")]
    public async Task Asks_again_when_nothing_comes_in(string state)
    {
        await using var jobs = await BatchJobs.StartAsync(new BatchSagaOptions { StepTimeout = TimeSpan.FromMilliseconds(100) });
        await Reach(jobs, state);
        var again = await (state switch
        {
            "Queued" => AskedTwice<AdmitJob>(jobs),
            "Planning" => AskedTwice<PlanBatchJob>(jobs),
            "Scoring" => AskedTwice<CheckWork>(jobs),
            "Publishing" => AskedTwice<PublishResults>(jobs),
            _ => AskedTwice<StopWork>(jobs),
        });
        jobs.ShouldHaveNoFaults();
        again.ShouldBeTrue();
    }

    [Fact]
    public async Task Gives_up_when_publishing_never_answers()
    {
        await using var jobs = await BatchJobs.StartAsync(new BatchSagaOptions { StepTimeout = TimeSpan.FromMilliseconds(100), AskLimit = 2 });
        await Reach(jobs, "Publishing");
        await jobs.ShouldReach("Failed");
        (await jobs.Harness.Published.Any<BatchJobFailed>(m => m.Context.Message.Failure.Code == "no_answer")).ShouldBeTrue();
        jobs.ShouldHaveNoFaults();
    }

    [Theory]
    [InlineData("Queued")]
    [InlineData("Planning")]
    [InlineData("Scoring")]
    [InlineData("Publishing")]
    [InlineData("Cancelling")]
    public async Task Asks_again_when_resumed(string state)
    {
        await using var jobs = await BatchJobs.StartAsync();
        await Reach(jobs, state);
        await jobs.Publish(new ResumeBatchJob(jobs.JobId));
        (await jobs.Saga.Consumed.Any<ResumeBatchJob>()).ShouldBeTrue();
        jobs.ShouldHaveNoFaults();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    public async Task Faults_on_nothing_whatever_comes_twice_and_in_any_order(int seed)
    {
        await using var jobs = await BatchJobs.StartAsync();
        await jobs.Publish(jobs.Submit());
        await jobs.ShouldReach("Queued");
        object[] facts =
        [
            jobs.Submit(), new JobAdmitted(jobs.JobId), new BatchConversionPlanned(jobs.JobId, 2), new AllFilesConverted(jobs.JobId),
            new BatchPlanned(jobs.JobId, 2, 10), new BatchPlanFailed(jobs.JobId, Broken), new AllShardsCommitted(jobs.JobId, 10, 0),
            new BatchWorkFailed(jobs.JobId, Broken), new WorkStopped(jobs.JobId, "stop"), new CancelBatchJob(jobs.JobId, "local", "stop"),
            new ResultsPublished(jobs.JobId, "file:///m.json", "abc", 10, 0), new PublicationFailed(jobs.JobId, Broken),
            new ResumeBatchJob(jobs.JobId), new BatchStepTimedOut(jobs.JobId), new BatchJobTimedOut(jobs.JobId), new BatchQueueTimedOut(jobs.JobId),
        ];
        object[] all = [.. facts, .. facts, .. facts];
        new Random(seed).Shuffle(all);
        foreach (var fact in all)
            await jobs.PublishAsObject(fact);

        await jobs.Harness.InactivityTask;
        jobs.ShouldHaveNoFaults();
    }

    static async Task<bool> AskedTwice<T>(BatchJobs jobs) where T : class
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(10));
        var asked = 0;
        await foreach (var _ in jobs.Harness.Published.SelectAsync<T>(patience.Token))
            if (++asked == 2)
                return true;
        return false;
    }

    static async Task ReachScoring(BatchJobs jobs) => await Reach(jobs, "Scoring");

    static async Task Reach(BatchJobs jobs, string state)
    {
        await jobs.Publish(jobs.Submit());
        await jobs.ShouldReach("Queued");
        if (state == "Queued")
            return;
        if (state == "Cancelling")
        {
            await jobs.Publish(new CancelBatchJob(jobs.JobId, "local", "stop"));
            await jobs.ShouldReach("Cancelling");
            return;
        }

        await jobs.Publish(new JobAdmitted(jobs.JobId));
        await jobs.ShouldReach("Planning");
        if (state == "Planning")
            return;
        await jobs.Publish(new BatchPlanned(jobs.JobId, 8, 1000));
        await jobs.ShouldReach("Scoring");
        if (state == "Scoring")
            return;
        await jobs.Publish(new AllShardsCommitted(jobs.JobId, 1000, 0));
        await jobs.ShouldReach("Publishing");
    }
}
