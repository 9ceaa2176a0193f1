using Consumers.WorkLedger;
using Contracts;
using Contracts.BatchInference;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using Sagas.WorkLedger;
using Support;

namespace Consumers.Tests;

[Trait("Category", "Server")]
public sealed class LedgerTests(PostgresServer server) : IClassFixture<PostgresServer>
{
    [Fact]
    public Task Says_once_that_all_shards_are_committed_when_sixteen_commit_the_last_ones_at_once() => CommitAtOnceAsync(40);

    [Fact]
    [Trait("Category", "Soak")]
    public Task Says_once_that_all_shards_are_committed_in_a_thousand_rounds() => CommitAtOnceAsync(1000);

    async Task CommitAtOnceAsync(int rounds)
    {
        await using var ledger = await LedgerHost.StartAsync(server);
        for (var round = 0; round < rounds; round++)
        {
            var job = await ledger.PlanAsync(16);
            await Task.WhenAll(Enumerable.Range(0, 16).Select(i => Task.Run(() => ledger.CommitAsync(LedgerHost.Scored(job, i)))));
            await Eventually.TrueAsync(() => ledger.Facts.Count<AllShardsCommitted>(f => f.JobId == job) > 0, "the ledger to say so");
            (await ledger.JobAsync(job)).State.ShouldBe(WorkJobState.Committed);
        }

        ledger.Facts.Of<AllShardsCommitted>().GroupBy(f => f.JobId).ShouldAllBe(g => g.Count() == 1);
        ledger.Facts.Of<AllShardsCommitted>().Count.ShouldBe(rounds);
        ledger.Facts.Of<AllShardsCommitted>().ShouldAllBe(f => f.Scored == 160);
    }

    [Fact]
    public Task Ends_in_one_state_when_cancel_races_with_the_last_shards() => CancelAsync(40);

    [Fact]
    [Trait("Category", "Soak")]
    public Task Ends_in_one_state_in_a_thousand_races_of_cancel_with_the_last_shards() => CancelAsync(1000);

    async Task CancelAsync(int rounds)
    {
        await using var ledger = await LedgerHost.StartAsync(server);
        var random = new Random(11);
        for (var round = 0; round < rounds; round++)
        {
            var job = await ledger.PlanAsync(4);
            var before = random.Next(0, 4);
            for (var i = 0; i < before; i++)
                await ledger.CommitAsync(LedgerHost.Scored(job, i));
            var stop = Task.Run(() => ledger.StopAsync(job));
            await Task.WhenAll(Enumerable.Range(before, 4 - before).Select(i => Task.Run(() => ledger.CommitAsync(LedgerHost.Scored(job, i)))).Append(stop));

            var found = (await stop)!.Value.Found;
            var end = await ledger.JobAsync(job);
            if (found == WorkJobState.Committed)
                end.State.ShouldBe(WorkJobState.Committed);
            else
                end.State.ShouldBe(WorkJobState.Stopped);
            await ledger.ShouldAccountForEveryRowAsync(job);
            var said = ledger.Facts.Count<AllShardsCommitted>(f => f.JobId == job);
            said.ShouldBeLessThanOrEqualTo(end.State == WorkJobState.Committed ? 1 : 0);
        }
    }

    [Fact]
    public async Task Takes_the_first_result_of_a_shard_and_counts_the_others_as_stale()
    {
        await using var ledger = await LedgerHost.StartAsync(server);
        var job = await ledger.PlanAsync(2);
        var first = LedgerHost.Scored(job, 0);
        await ledger.CommitAsync(first);
        await ledger.CommitAsync(LedgerHost.Scored(job, 0), first);
        var row = await ledger.JobAsync(job);
        row.CommittedUnits.ShouldBe(1);
        row.Scored.ShouldBe(10);
        row.StaleResults.ShouldBe(2);
        (await ledger.UnitsAsync(job))[0].Execution.ShouldBe(first.Execution);
        await ledger.ShouldAccountForEveryRowAsync(job);
    }

    [Fact]
    public async Task Takes_no_result_of_an_older_epoch()
    {
        await using var ledger = await LedgerHost.StartAsync(server);
        var job = await ledger.PlanAsync(2);
        await ledger.StopAsync(job);
        await ledger.CommitAsync(LedgerHost.Scored(job, 0), LedgerHost.Scored(job, 1));
        var row = await ledger.JobAsync(job);
        row.State.ShouldBe(WorkJobState.Stopped);
        (row.Scored, row.Skipped).ShouldBe((0, 20));
        ledger.Facts.Count<AllShardsCommitted>(f => f.JobId == job).ShouldBe(0);
    }

    [Fact]
    public async Task Takes_no_result_whose_rows_do_not_add_up()
    {
        await using var ledger = await LedgerHost.StartAsync(server);
        var job = await ledger.PlanAsync(1);
        await ledger.CommitAsync(LedgerHost.Scored(job, 0, rows: 9));
        (await ledger.JobAsync(job)).CommittedUnits.ShouldBe(0);
        await ledger.ShouldAccountForEveryRowAsync(job);
    }

    [Fact]
    public async Task Keeps_twice_the_announced_slots_in_flight_and_gives_tenants_turns()
    {
        await using var ledger = await LedgerHost.StartAsync(server);
        await ledger.AnnounceAsync(slots: 3);
        var large = await ledger.PlanAsync(50, tenant: "large");
        var small = await ledger.PlanAsync(50, tenant: "small");
        while (await ledger.Dispatcher.DispatchAsync(default) == DispatcherLook.Done)
        {
        }

        (await ledger.UnitsAsync(large)).Count(u => u.State == WorkUnitState.Dispatched).ShouldBe(3);
        (await ledger.UnitsAsync(small)).Count(u => u.State == WorkUnitState.Dispatched).ShouldBe(3);
        await Eventually.TrueAsync(() => ledger.Facts.Of<ScoreShard>().Count == 6, "the ledger to say so");
        ledger.Facts.Of<ScoreShard>().ShouldAllBe(s => s.Attempt == 1);
    }

    [Fact]
    public async Task A_dispatcher_that_found_another_node_looking_looks_again_without_waiting_for_its_poll()
    {
        await using var ledger = await LedgerHost.StartAsync(server, new() { ["WorkLedger:Poll"] = "01:00:00" });
        var database = ledger.Services.GetRequiredService<NpgsqlDataSource>();
        await using var other = await database.OpenConnectionAsync();
        await ExecuteAsync(other, $"SELECT pg_advisory_lock({DispatcherLock})");
        await ledger.Dispatcher.StartAsync(default);
        var job = await ledger.PlanAsync(1);
        (await ledger.UnitsAsync(job)).ShouldAllBe(u => u.State == WorkUnitState.Pending);

        await ExecuteAsync(other, $"SELECT pg_advisory_unlock({DispatcherLock})");

        await Eventually.TrueAsync(async () => (await ledger.UnitsAsync(job)).All(u => u.State == WorkUnitState.Dispatched), "the unit to be dispatched");
        await ledger.Dispatcher.StopAsync(default);

        static async Task ExecuteAsync(NpgsqlConnection connection, string sql)
        {
            await using var command = new NpgsqlCommand(sql, connection);
            await command.ExecuteNonQueryAsync();
        }
    }

    // As in the dispatcher: what every node's asks for.
    const long DispatcherLock = 0x5A6A_0001;

    [Fact]
    public async Task Gives_higher_priority_all_places()
    {
        await using var ledger = await LedgerHost.StartAsync(server);
        await ledger.AnnounceAsync(slots: 2);
        var usual = await ledger.PlanAsync(10);
        var urgent = await ledger.PlanAsync(10, priority: 5);
        await ledger.Dispatcher.DispatchAsync(default);
        (await ledger.UnitsAsync(urgent)).Count(u => u.State == WorkUnitState.Dispatched).ShouldBe(4);
        (await ledger.UnitsAsync(usual)).Count(u => u.State == WorkUnitState.Dispatched).ShouldBe(0);
    }

    [Fact]
    public async Task Counts_a_crash_and_no_failure_when_the_broker_delivers_a_lost_workers_unit_again()
    {
        await using var ledger = await LedgerHost.StartAsync(server);
        await ledger.AnnounceAsync(slots: 1);
        var job = await ledger.PlanAsync(2);
        await ledger.Dispatcher.DispatchAsync(default);
        await ledger.HeartbeatAsync(job, 0, attempt: 1);
        var lost = new Failure(FailureCodes.WorkerLost, "Lost.");

        // The second had not begun: nothing of it can be to blame.
        await ledger.FailAsync(new UnitFailure(job, 0, 0, 1, lost, true, 0));
        await ledger.FailAsync(new UnitFailure(job, 0, 1, 1, lost, true, 0));

        var units = await ledger.UnitsAsync(job);
        units.ShouldAllBe(u => u.State == WorkUnitState.Pending && u.Failures == 0);
        units.Select(u => u.Crashes).ShouldBe([1, 0]);
        await ledger.ShouldAccountForEveryRowAsync(job);
    }

    [Fact]
    public async Task Takes_units_back_whose_worker_is_lost_and_counts_their_rows_as_scored_again()
    {
        await using var ledger = await LedgerHost.StartAsync(server);
        await ledger.AnnounceAsync(slots: 1);
        var job = await ledger.PlanAsync(2);
        await ledger.Dispatcher.DispatchAsync(default);
        await Eventually.TrueAsync(() => ledger.Facts.Of<ScoreShard>().Count == 2, "the ledger to say so");
        await ledger.HeartbeatAsync(job, 0, attempt: 1);
        // A lease as dispatched does not run while the order is still in the outbox.
        await Eventually.TrueAsync(async () =>
        {
            await ledger.ExpireLeasesAsync();
            await ledger.Reaper.ReapAsync(default);
            return (await ledger.UnitsAsync(job)).All(u => u.State == WorkUnitState.Pending);
        }, "both units to be free again");
        var units = await ledger.UnitsAsync(job);
        units[0].Crashes.ShouldBe(1);
        units[1].Crashes.ShouldBe(0);
        (await ledger.JobAsync(job)).Rescored.ShouldBe(10);
        await ledger.ShouldAccountForEveryRowAsync(job);
    }

    [Fact]
    public async Task Finds_the_row_that_breaks_the_model_and_puts_only_it_in_quarantine()
    {
        await using var ledger = await LedgerHost.StartAsync(server);
        await ledger.AnnounceAsync(slots: 8);
        const long Bad = 37;
        var job = await ledger.PlanAsync(shards: 4, rows: 16, maxErrorRate: 0.5);
        var failure = new Failure("model_failed", "The model cannot do this row.");
        HashSet<(int, int)> done = [];
        await Eventually.TrueAsync(async () =>
        {
            await ledger.Dispatcher.DispatchAsync(default);
            foreach (var order in ledger.Facts.Of<ScoreShard>().Where(o => done.Add((o.Shard, o.Attempt))))
            {
                if (order.QuarantineAll is not null)
                    await ledger.CommitAsync(LedgerHost.Scored(job, order.Shard, order.Range.Rows, quarantined: order.Range.Rows));
                else if (order.Range.FirstRow <= Bad && Bad < order.Range.FirstRow + order.Range.Rows)
                    await ledger.FailAsync(new UnitFailure(job, 0, order.Shard, order.Attempt, failure, true, 0));
                else
                    await ledger.CommitAsync(LedgerHost.Scored(job, order.Shard, order.Range.Rows));
                await ledger.ShouldAccountForEveryRowAsync(job);
            }

            return (await ledger.JobAsync(job)).State == WorkJobState.Committed;
        }, "the job to be committed", TimeSpan.FromSeconds(60));
        var end = await ledger.JobAsync(job);
        (end.Scored, end.Quarantined).ShouldBe((63, 1));
    }

    [Fact]
    public async Task Cuts_a_shard_that_took_too_long_by_the_speed_it_reached()
    {
        await using var ledger = await LedgerHost.StartAsync(server);
        await ledger.AnnounceAsync(slots: 1);
        var job = await ledger.PlanAsync(shards: 1, rows: 1000);
        await ledger.Dispatcher.DispatchAsync(default);
        await ledger.FailAsync(new UnitFailure(job, 0, 0, 1, new Failure(FailureCodes.TooLong, "45 s"), true, RowsPerSecond: 20));
        (await ledger.UnitsAsync(job)).Where(u => u.State == WorkUnitState.Pending).Sum(u => u.Rows).ShouldBe(1000);
        (await ledger.UnitsAsync(job)).Where(u => u.State == WorkUnitState.Pending).ShouldAllBe(u => u.Rows == 200 && u.Failures == 0);
        await ledger.ShouldAccountForEveryRowAsync(job);
    }

    [Fact]
    public async Task Blames_no_rows_while_artifacts_cannot_be_had()
    {
        await using var ledger = await LedgerHost.StartAsync(server);
        await ledger.AnnounceAsync(slots: 1);
        var job = await ledger.PlanAsync(shards: 1, rows: 1000);
        for (var attempt = 1; attempt <= 10; attempt++)
        {
            await ledger.Dispatcher.DispatchAsync(default);
            await ledger.FailAsync(new UnitFailure(job, 0, 0, attempt, new Failure(FailureCodes.ArtifactsUnavailable, "No answer."), true, 0));
        }

        var unit = (await ledger.UnitsAsync(job)).Single();
        (unit.State, unit.Rows, unit.Failures, unit.Attempt).ShouldBe((WorkUnitState.Pending, 1000, 0, 10));
        await ledger.ShouldAccountForEveryRowAsync(job);
    }

    [Fact]
    public async Task Ignores_the_same_failure_said_twice()
    {
        await using var ledger = await LedgerHost.StartAsync(server);
        await ledger.AnnounceAsync(slots: 1);
        var job = await ledger.PlanAsync(1);
        await ledger.Dispatcher.DispatchAsync(default);
        var report = new UnitFailure(job, 0, 0, 1, new Failure("disk_full", "No space."), true, 0);
        await ledger.FailAsync(report);
        await ledger.FailAsync(report);
        (await ledger.UnitsAsync(job)).Single().Failures.ShouldBe(1);
    }

    [Fact]
    public async Task Fails_the_job_at_once_when_trying_again_cannot_help()
    {
        await using var ledger = await LedgerHost.StartAsync(server);
        await ledger.AnnounceAsync(slots: 1);
        var job = await ledger.PlanAsync(3);
        await ledger.Dispatcher.DispatchAsync(default);
        await ledger.FailAsync(new UnitFailure(job, 0, 0, 1, new Failure(FailureCodes.InputChanged, "in.parquet changed."), false, 0));
        (await ledger.JobAsync(job)).State.ShouldBe(WorkJobState.Failed);
        await Eventually.TrueAsync(() => ledger.Facts.Count<BatchWorkFailed>(f => f.JobId == job && f.Failure.Code == FailureCodes.InputChanged) == 1, "the ledger to say so");
        await ledger.ShouldAccountForEveryRowAsync(job);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Fails_a_job_with_too_many_bad_rows_whatever_the_order_of_its_shards(bool badFirst)
    {
        await using var ledger = await LedgerHost.StartAsync(server);
        var job = await ledger.PlanAsync(shards: 4, rows: 100, maxErrorRate: 0.01);
        int[] order = badFirst ? [0, 1, 2, 3] : [3, 2, 1, 0];
        foreach (var shard in order)
            await ledger.CommitAsync(LedgerHost.Scored(job, shard, 100, quarantined: shard == 0 ? 5 : 0));
        (await ledger.JobAsync(job)).State.ShouldBe(WorkJobState.Failed);
        await Eventually.TrueAsync(() => ledger.Facts.Count<BatchWorkFailed>(f => f.JobId == job && f.Failure.Code == "error_threshold_exceeded") == 1, "the ledger to say so");
        await ledger.ShouldAccountForEveryRowAsync(job);
    }

    [Fact]
    public async Task Starts_units_again_that_were_in_flight_when_everything_stopped()
    {
        await using var ledger = await LedgerHost.StartAsync(server);
        await ledger.AnnounceAsync(slots: 2);
        var job = await ledger.PlanAsync(4);
        await ledger.Dispatcher.DispatchAsync(default);
        await ledger.HeartbeatAsync(job, 1, attempt: 1);
        (await ledger.RecoverAsync()).ShouldBe(4);
        (await ledger.UnitsAsync(job)).ShouldAllBe(u => u.State == WorkUnitState.Pending);
        (await ledger.UnitsAsync(job)).Select(u => u.Crashes).ShouldBe([0, 1, 0, 0]);
        (await ledger.JobAsync(job)).Rescored.ShouldBe(10);
        await ledger.ShouldAccountForEveryRowAsync(job);
    }

    [Fact]
    public async Task Cuts_a_unit_that_was_begun_at_every_crash_of_the_whole_process()
    {
        await using var ledger = await LedgerHost.StartAsync(server, new() { ["WorkLedger:CrashLimit"] = "3" });
        await ledger.AnnounceAsync(slots: 1);
        var job = await ledger.PlanAsync(shards: 1, rows: 8);
        for (var crash = 1; crash <= 3; crash++)
        {
            await ledger.AnnounceAsync(slots: 1);
            await ledger.Dispatcher.DispatchAsync(default);
            await ledger.HeartbeatAsync(job, 0, attempt: crash);
            (await ledger.RecoverAsync()).ShouldBe(1);
        }

        var units = await ledger.UnitsAsync(job);
        units[0].State.ShouldBe(WorkUnitState.Split);
        units.Skip(1).Select(u => u.Rows).ShouldBe([4, 4]);
        await ledger.ShouldAccountForEveryRowAsync(job);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public Task Accounts_for_every_row_whatever_happens_in_whatever_order(int seed) => HappenAsync(seed, 80);

    [Fact]
    [Trait("Category", "Soak")]
    public Task Accounts_for_every_row_after_each_of_ten_thousand_events() => HappenAsync(3, 10_000);

    async Task HappenAsync(int seed, int steps)
    {
        await using var ledger = await LedgerHost.StartAsync(server, new() { ["WorkLedger:CrashLimit"] = "3" });
        await ledger.AnnounceAsync(slots: 4);
        var random = new Random(seed);
        var job = await ledger.PlanAsync(shards: 6, rows: 8, maxErrorRate: 1);
        for (var step = 0; step < steps; step++)
        {
            await ledger.Dispatcher.DispatchAsync(default);
            var units = await ledger.UnitsAsync(job);
            var unit = units[random.Next(units.Count)];
            var bad = random.Next(0, (int)unit.Rows + 1);
            switch (random.Next(6))
            {
                case 0:
                    await ledger.CommitAsync(LedgerHost.Scored(job, unit.Unit, unit.Rows, bad));
                    break;
                case 1:
                    await ledger.FailAsync(new UnitFailure(job, 0, unit.Unit, unit.Attempt, new Failure("any", "any"), true, 0));
                    break;
                case 2:
                    await ledger.FailAsync(new UnitFailure(job, 0, unit.Unit, unit.Attempt, new Failure(FailureCodes.TooLong, "slow"), true, 0.1));
                    break;
                case 3:
                    await ledger.HeartbeatAsync(job, unit.Unit, unit.Attempt);
                    break;
                case 4:
                    await ledger.ExpireLeasesAsync();
                    await ledger.Reaper.ReapAsync(default);
                    break;
                default:
                    await ledger.CommitAsync(LedgerHost.Scored(job, random.Next(0, 40)));
                    break;
            }

            await ledger.ShouldAccountForEveryRowAsync(job);
            if ((await ledger.JobAsync(job)).State != WorkJobState.Running)
                job = await ledger.PlanAsync(shards: 6, rows: 8, maxErrorRate: 1);
        }
    }
}
