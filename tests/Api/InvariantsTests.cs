using System.Text.Json;
using Contracts;
using Contracts.BatchInference;
using Microsoft.EntityFrameworkCore;
using Sagas.BatchInference;
using Sagas.WorkLedger;

namespace Api.Tests;

/// <summary>On a host of its own: the other tests make jobs that could not be.</summary>
[Trait("Category", "Server")]
public sealed class InvariantsTests(ApiHost host) : IClassFixture<ApiHost>, IAsyncLifetime
{
    public Task InitializeAsync() => host.WithDbAsync(async db => await db.WorkJobs.ExecuteDeleteAsync() + await db.BatchJobs.ExecuteDeleteAsync());

    public Task DisposeAsync() => Task.CompletedTask;

    [Fact]
    public async Task Are_all_zero_when_nothing_is_wrong()
    {
        var id = await host.AddJobAsync("Running", "Completed", job => (job.State, job.InputRows, job.Scored, job.Skipped, job.TotalUnits, job.CommittedUnits) = ("Completed", 300, 100, 200, 3, 1),
            saga => saga.ManifestUri = ApiHost.Uri(host.Outputs, "complete", "_manifest.json"));
        await host.AddUnitAsync(id, 0, WorkUnitState.Committed, 100);
        await host.AddUnitAsync(id, 1, WorkUnitState.Skipped, 200);
        await host.AddUnitAsync(id, -1, WorkUnitState.Committed, 300);
        Directory.CreateDirectory(Path.Combine(host.Outputs, "complete"));
        await File.WriteAllTextAsync(Path.Combine(host.Outputs, "complete", "_manifest.json"), "{}");

        var report = await ReadAsync();

        report.GetProperty("ok").GetBoolean().ShouldBeTrue(report.ToString());
        foreach (var figure in new[] { "doubleCommits", "orphanLeases", "stuckSagas", "dueOutboxAgeSeconds", "unaccountedRows", "manifestsWithoutCompletedJob", "completedJobsWithoutManifest" })
            report.GetProperty(figure).GetInt64().ShouldBe(0, figure);
    }

    [Fact]
    public async Task Name_rows_that_are_missing_or_counted_twice()
    {
        var id = await host.AddJobAsync("Running", null, job => (job.InputRows, job.Scored, job.TotalUnits, job.CommittedUnits) = (300, 100, 2, 1));
        await host.AddUnitAsync(id, 0, WorkUnitState.Committed, 100);
        await host.AddUnitAsync(id, 1, WorkUnitState.Pending, 150);

        await ShouldNameAsync("unaccountedRows", 50, id.ToString());
    }

    [Fact]
    public async Task Name_a_unit_that_was_counted_twice()
    {
        var id = await host.AddJobAsync("Running", null, job => (job.InputRows, job.Scored, job.TotalUnits, job.CommittedUnits) = (100, 100, 2, 2));
        await host.AddUnitAsync(id, 0, WorkUnitState.Committed, 100);

        await ShouldNameAsync("doubleCommits", 1, id.ToString());
    }

    [Fact]
    public async Task Name_an_execution_that_won_two_units()
    {
        var id = await host.AddJobAsync("Running", null, job => (job.InputRows, job.Scored, job.TotalUnits, job.CommittedUnits) = (200, 200, 2, 2));
        var execution = Guid.CreateVersion7();
        await host.AddUnitAsync(id, 0, WorkUnitState.Committed, 100, unit => unit.Execution = execution);
        await host.AddUnitAsync(id, 1, WorkUnitState.Committed, 100, unit => unit.Execution = execution);

        await ShouldNameAsync("doubleCommits", 1, $"{id}/0,1");
    }

    [Fact]
    public async Task Name_leases_that_nobody_holds()
    {
        var id = await host.AddJobAsync("Running", null, job => (job.InputRows, job.TotalUnits) = (200, 2));
        await host.AddUnitAsync(id, 0, WorkUnitState.Running, 100, unit => unit.LeaseUntil = TimeProvider.System.GetUtcNow().AddMinutes(-10));
        await host.AddUnitAsync(id, 1, WorkUnitState.Running, 100, unit => unit.LeaseUntil = TimeProvider.System.GetUtcNow().AddMinutes(1));

        await ShouldNameAsync("orphanLeases", 1, $"{id}/0");
    }

    [Fact]
    public async Task Name_a_saga_that_waits_for_nothing()
    {
        var id = await host.AddJobAsync("Running", "Scoring");

        await ShouldNameAsync("stuckSagas", 1, id.ToString());
    }

    [Fact]
    public async Task Name_a_job_whose_end_its_saga_has_not_heard_of()
    {
        var id = await host.AddJobAsync("Stopped", null, job => job.AcceptedAt = job.AcceptedAt.AddMinutes(-10));

        await ShouldNameAsync("stuckSagas", 1, id.ToString());
    }

    [Fact]
    public async Task Name_a_manifest_without_a_completed_job_and_the_reverse()
    {
        var failed = await host.AddJobAsync("Failed", "Failed");
        var spec = await host.WithDbAsync(async db => WireJson.Read<BatchJobSpec>((await db.WorkJobs.SingleAsync(j => j.Id == failed)).Spec));
        var folder = new Uri(spec.ResultFolder(failed)).LocalPath;
        Directory.CreateDirectory(folder);
        await File.WriteAllTextAsync(Path.Combine(folder, "_manifest.json"), "{}");
        await ShouldNameAsync("manifestsWithoutCompletedJob", 1, failed.ToString());

        Directory.Delete(folder, recursive: true);
        await host.ChangeJobAsync(failed, job => job.State = "Completed", "Completed");
        await ShouldNameAsync("completedJobsWithoutManifest", 1, failed.ToString());
    }

    [Fact]
    public async Task Tell_how_old_the_oldest_unsent_message_is()
    {
        // Due, and leased for another hour: nobody sends it meanwhile.
        var id = Guid.CreateVersion7();
        await host.WithDbAsync(db => db.Database.ExecuteSqlAsync(
            $"""
            INSERT INTO messaging.outbox (id, message_id, destination, message_type, content_type, body, sent_at, visible_at)
            VALUES ({id}, {id}, 'queue:nowhere', 'none', 'none', '', now() - interval '100 seconds', now() + interval '1 hour')
            """));

        var report = await ReadAsync();
        await host.WithDbAsync(db => db.Database.ExecuteSqlAsync($"DELETE FROM messaging.outbox WHERE id = {id}"));

        report.GetProperty("ok").GetBoolean().ShouldBeFalse();
        report.GetProperty("dueOutboxAgeSeconds").GetInt64().ShouldBeInRange(100, 200);
    }

    async Task ShouldNameAsync(string figure, long count, string offender)
    {
        var report = await ReadAsync();
        report.GetProperty("ok").GetBoolean().ShouldBeFalse();
        report.GetProperty(figure).GetInt64().ShouldBe(count, report.ToString());
        report.GetProperty("offenders").GetProperty(figure).EnumerateArray().Select(o => o.GetString()).ShouldBe([offender]);
    }

    async Task<JsonElement> ReadAsync() => await (await host.Client.GetAsync("/api/v1/operations/invariants")).JsonAsync();
}
