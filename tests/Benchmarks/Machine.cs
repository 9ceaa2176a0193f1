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

    /// <summary>Processor time that all programs of the machine have had since its start, in ms. Unlike the clock it knows nothing of noisy neighbours.</summary>
    internal static double BusyMilliseconds()
    {
        // Units of 10 ms: user, nice, system, idle, iowait, irq, softirq, steal.
        var counts = File.ReadLines("/proc/stat").First().Split(' ', StringSplitOptions.RemoveEmptyEntries).Skip(1).Select(long.Parse).ToArray();
        return 10.0 * (counts[0] + counts[1] + counts[2] + counts[5] + counts[6]);
    }

    internal static double Median(IEnumerable<double> values) => Percentile(values, 0.5);

    /// <summary>The nearest rank.</summary>
    internal static double Percentile(IEnumerable<double> values, double share)
    {
        var sorted = values.Order().ToArray();
        return sorted[Math.Max(0, (int)Math.Ceiling(share * sorted.Length) - 1)];
    }
}
