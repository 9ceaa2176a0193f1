using System.Runtime.InteropServices;

namespace Benchmarks;

static class Machine
{
    internal static string Describe()
    {
        var model = File.ReadLines("/proc/cpuinfo").FirstOrDefault(l => l.StartsWith("model name", StringComparison.Ordinal))?.Split(": ")[1];
        var memory = long.Parse(File.ReadLines("/proc/meminfo").First().Split(' ', StringSplitOptions.RemoveEmptyEntries)[1]) / 1024 / 1024;
        var load = File.ReadAllText("/proc/loadavg").Split(' ')[0];
        return $"{TimeProvider.System.GetUtcNow():yyyy-MM-dd HH:mm} UTC, {model}, {Environment.ProcessorCount} cores, {memory} GiB, "
            + $"{RuntimeInformation.FrameworkDescription}, load {load} at the start";
    }

    internal static double Median(IEnumerable<double> values) => Percentile(values, 0.5);

    /// <summary>The nearest rank.</summary>
    internal static double Percentile(IEnumerable<double> values, double share)
    {
        var sorted = values.Order().ToArray();
        return sorted[Math.Max(0, (int)Math.Ceiling(share * sorted.Length) - 1)];
    }
}
