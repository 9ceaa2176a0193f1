using System.ComponentModel;
using System.Runtime.InteropServices;

namespace GpuWorker.Inference.Inspection;

/// <summary>What this process may use from now on, for Linux to enforce.</summary>
static partial class ProcessLimits
{
    const int Cpu = 0;
    const int FileSize = 1;
    const int Data = 2;
    const int Core = 4;
    const int NoNewPrivileges = 38;
    const int SignalKill = 9;

    // The runtime itself keeps something in files without a name.
    const long MostFileBytes = 256 << 20;

    /// <param name="bytes">Of private memory that can be written. Not of addresses: the runtime reserves far more of those than it uses.</param>
    /// <param name="seconds">Of all threads together.</param>
    public static void Set(long bytes, long seconds)
    {
        Set(Core, 0, 0);
        Set(FileSize, MostFileBytes, MostFileBytes);
        Set(Data, bytes, bytes);
        // Past the first a signal says why; past the second there is no talking.
        Set(Cpu, seconds, seconds + 1);
        if (prctl(NoNewPrivileges, 1, 0, 0, 0) != 0)
            throw new Win32Exception();
    }

    /// <summary>Standard input is held open by the parent and never written to: its end is the parent's, however that died.</summary>
    public static void EndWithParent()
    {
        var watch = new Thread(() =>
        {
            using var input = Console.OpenStandardInput();
            Span<byte> one = stackalloc byte[1];
            while (input.Read(one) > 0)
            {
            }

            // Not an orderly exit: the model's code may hold every lock there is.
            _ = kill(Environment.ProcessId, SignalKill);
        })
        { IsBackground = true };
        watch.Start();
    }

    static void Set(int resource, long soft, long hard)
    {
        // struct rlimit.
        ReadOnlySpan<ulong> limits = [(ulong)soft, (ulong)hard];
        if (setrlimit(resource, limits) != 0)
            throw new Win32Exception();
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int setrlimit(int resource, ReadOnlySpan<ulong> limits);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int prctl(int option, nuint two, nuint three, nuint four, nuint five);

    [LibraryImport("libc")]
    private static partial int kill(int process, int signal);
}
