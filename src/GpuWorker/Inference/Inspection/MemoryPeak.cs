using System.Globalization;

namespace GpuWorker.Inference.Inspection;

/// <summary>The most memory that this process had at once, since the last time it was asked to forget.</summary>
static class MemoryPeak
{
    const string Forget = "5";

    /// <summary>From here on. Returns what the process has now.</summary>
    public static long Restart()
    {
        GC.Collect();
        try
        {
            File.WriteAllText("/proc/self/clear_refs", Forget);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // Where the kernel keeps the highest mark, it is only ever too high.
        }
        return Read("self", "VmRSS");
    }

    public static long Bytes() => Read("self", "VmHWM");

    /// <summary>A line of <c>/proc/{process}/status</c> in bytes; 0 when the process or the line is gone.</summary>
    public static long Read(string process, string line)
    {
        try
        {
            foreach (var text in File.ReadLines($"/proc/{process}/status"))
            {
                if (text.StartsWith(line, StringComparison.Ordinal) && text[line.Length] == ':')
                    return long.Parse(text.AsSpan(line.Length + 1).Trim().TrimEnd("kB").Trim(), NumberStyles.None, CultureInfo.InvariantCulture) * 1024;
            }
        }
        catch (IOException)
        {
            // It has ended.
        }
        return 0;
    }
}
