using System.Net;
using Microsoft.EntityFrameworkCore;
using Sagas.WorkLedger;
using Support;

namespace Api.Tests;

[Collection(nameof(ApiHost))]
[Trait("Category", "Server")]
public sealed class CancelTests(ApiHost host)
{
    [Theory]
    [InlineData("Accepted", null)]
    [InlineData("Queued", "Queued")]
    [InlineData("Admitted", "Planning")]
    [InlineData("Running", "Scoring")]
    public async Task Stops_a_job_and_skips_its_open_rows(string ledger, string? saga)
    {
        var id = await host.AddJobAsync(ledger, saga, job => (job.InputRows, job.Scored, job.TotalUnits, job.CommittedUnits, job.Epoch) = (300, 100, 3, 1, 4));
        await host.AddUnitAsync(id, 0, WorkUnitState.Committed, 100);
        await host.AddUnitAsync(id, 1, WorkUnitState.Running, 100);
        await host.AddUnitAsync(id, 2, WorkUnitState.Pending, 100);

        var response = await CancelAsync(id, new { reason = "changed my mind" });

        response.StatusCode.ShouldBe(HttpStatusCode.Accepted, await response.Content.ReadAsStringAsync());
        (await response.JsonAsync()).GetProperty("status").GetString().ShouldBe("Cancelling");
        var job = await host.WithDbAsync(db => db.WorkJobs.SingleAsync(j => j.Id == id));
        (job.State, job.Epoch, job.Scored, job.Skipped).ShouldBe((WorkJobState.Stopped, 5, 100, 200));
        job.Failure!.ShouldContain("changed my mind");
        await Eventually.TrueAsync(() => host.Cancelled.GetValueOrDefault(id) == "changed my mind", "CancelBatchJob");
    }

    [Fact]
    public async Task Needs_no_body()
    {
        var id = await host.AddJobAsync("Running", "Scoring");

        (await host.Client.PostAsync($"/api/v1/batch-inference/jobs/{id}/cancel", null)).StatusCode.ShouldBe(HttpStatusCode.Accepted);
        await Eventually.TrueAsync(() => host.Cancelled.GetValueOrDefault(id) == "requested", "CancelBatchJob");
    }

    [Fact]
    public async Task Says_the_same_when_asked_again()
    {
        var id = await host.AddJobAsync("Running", "Scoring");
        await CancelAsync(id, new { });

        (await CancelAsync(id, new { })).StatusCode.ShouldBe(HttpStatusCode.Accepted);
        await host.ChangeJobAsync(id, _ => { }, "Cancelled");
        var last = await CancelAsync(id, new { });
        last.StatusCode.ShouldBe(HttpStatusCode.OK);
        (await last.JsonAsync()).GetProperty("status").GetString().ShouldBe("Cancelled");
        (await host.WithDbAsync(db => db.WorkJobs.SingleAsync(j => j.Id == id))).Epoch.ShouldBe(1);
    }

    [Theory]
    [InlineData("Committed", "Publishing", "job_past_cancel")]
    [InlineData("Committed", "Scoring", "job_past_cancel")]
    [InlineData("Completed", "Completed", "job_ended")]
    [InlineData("Failed", "Failed", "job_ended")]
    [InlineData("Stopped", "Failed", "job_ended")]
    public async Task Comes_too_late_from_the_last_shard_on(string ledger, string saga, string code)
    {
        var id = await host.AddJobAsync(ledger, saga);

        await (await CancelAsync(id, new { })).ProblemAsync(409, code);

        (await host.WithDbAsync(db => db.WorkJobs.SingleAsync(j => j.Id == id))).State.ShouldBe(ledger);
        host.Cancelled.ShouldNotContainKey(id);
    }

    [Fact]
    public async Task Knows_no_job_that_is_not_there()
    {
        await (await CancelAsync(Guid.CreateVersion7(), new { })).ProblemAsync(404, "job_not_found");
        var id = await host.AddJobAsync("Running", "Scoring");
        (await (await CancelAsync(id, new { reason = 5, why = "" })).ProblemAsync(400, "invalid_request")).Count.ShouldBe(2);
        await (await CancelAsync(id, new { reason = new string('x', 1001) })).ProblemAsync(400, "out_of_range");
    }

    Task<HttpResponseMessage> CancelAsync(Guid id, object body) => host.PostAsync($"/api/v1/batch-inference/jobs/{id}/cancel", body);
}
