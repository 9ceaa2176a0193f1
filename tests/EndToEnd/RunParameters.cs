using System.Globalization;
using Xunit.Abstractions;

namespace EndToEnd;

/// <summary>What the environment may say about a run at random.</summary>
static class RunParameters
{
    /// <summary>By <c>SAGAS_SEED</c>, which is printed, so that a run can be repeated.</summary>
    public static Random Seeded(ITestOutputHelper output)
    {
        var seed = Of("SAGAS_SEED", Random.Shared.Next());
        output.WriteLine($"SAGAS_SEED={seed}");
        return new Random(seed);
    }

    public static int Of(string variable, int usual) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), CultureInfo.InvariantCulture, out var chosen) ? chosen : usual;
}
