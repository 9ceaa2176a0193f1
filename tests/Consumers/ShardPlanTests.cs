using Consumers.BatchInference;

namespace Consumers.Tests;

public sealed class ShardPlanTests
{
    [Fact]
    public void Cuts_at_row_groups_where_it_can()
    {
        var cut = new ShardPlan(WantedRows: 200_000, MostRows: 800_000).Cut(Enumerable.Repeat(122_880L, 8)).ToList();
        cut.ShouldAllBe(s => s.FirstRow % 122_880 == 0);
        cut.Count.ShouldBe(4);
    }

    [Fact]
    public void Cuts_within_a_row_group_that_is_larger_than_wanted()
    {
        var cut = new ShardPlan(1_000, 4_000).Cut([10_500]).ToList();
        cut.Count.ShouldBe(10);
        cut.ShouldAllBe(s => s.Rows < 2_000);
    }

    [Fact]
    public void Never_exceeds_the_batch_size()
    {
        var plan = ShardPlan.For(1_000_000, rowsPerSecond: 1e9, slots: 2, batchSize: 777);
        plan.Cut([100_000, 1, 900_000]).ShouldAllBe(s => s.Rows <= 777);
    }

    [Fact]
    public void Makes_some_shards_for_each_slot() =>
        ShardPlan.For(40_000_000, rowsPerSecond: 1e8, slots: 2, batchSize: null).WantedRows.ShouldBe(5_000_000);

    [Fact]
    public void Makes_about_five_seconds_of_work_with_a_slow_model() =>
        ShardPlan.For(40_000_000, rowsPerSecond: 1_000, slots: 2, batchSize: null).WantedRows.ShouldBe(5_000);

    [Fact]
    public void Covers_each_row_exactly_once_whatever_the_groups()
    {
        var random = new Random(7);
        for (var round = 0; round < 2_000; round++)
        {
            long[] groups = [.. Enumerable.Range(0, random.Next(0, 30)).Select(_ => (long)random.Next(0, 5_000))];
            var wanted = random.Next(1, 6_000);
            var cut = new ShardPlan(wanted, random.Next(wanted, 9_000)).Cut(groups).ToList();
            long next = 0;
            foreach (var (first, rows) in cut)
            {
                first.ShouldBe(next);
                rows.ShouldBeGreaterThan(0);
                next += rows;
            }

            next.ShouldBe(groups.Sum());
        }
    }
}
