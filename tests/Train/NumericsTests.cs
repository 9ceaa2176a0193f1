namespace Train.Tests;

public sealed class NumericsTests
{
    [Fact]
    public void Exponential_and_logarithm_are_right_to_the_last_bits()
    {
        var random = new RandomStream(1, 1);
        for (var i = 0; i < 100_000; i++)
        {
            var x = 80 * (random.Uniform() - 0.5);
            (Numerics.Exp(x) / Math.Exp(x)).ShouldBe(1, 2e-15);
            var y = Math.Exp(x);
            Math.Abs(Numerics.Log(y) - Math.Log(y)).ShouldBeLessThan(4e-16 * Math.Max(1, Math.Abs(x)));
        }
        Numerics.Exp(1000).ShouldBe(double.PositiveInfinity);
        Numerics.Exp(-1000).ShouldBe(0);
    }

    [Fact]
    public void Normal_numbers_have_mean_0_and_variance_1()
    {
        var random = new RandomStream(2, 0);
        var values = Enumerable.Range(0, 200_000).Select(_ => random.Normal()).ToArray();
        values.Average().ShouldBe(0, 0.01);
        values.Average(v => v * v).ShouldBe(1, 0.02);
    }

    [Fact]
    public void Area_under_the_curve_counts_ties_as_halves()
    {
        Metrics.Auc([0.1, 0.4, 0.4, 0.8], [0, 0, 1, 1]).ShouldBe(0.875);
        Metrics.Auc([0.5, 0.5], [0, 1]).ShouldBe(0.5);
    }
}
