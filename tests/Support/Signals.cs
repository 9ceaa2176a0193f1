using System.Runtime.InteropServices;

namespace Support;

public static partial class Signals
{
    public const int Interrupt = 2;
    public const int Quit = 3;
    public const int Kill = 9;
    public const int Terminate = 15;
    public const int Continue = 18;
    public const int Pause = 19;

    /// <returns>False when there is no such process.</returns>
    public static bool Send(int processId, int signal) => SendSignal(processId, signal) == 0;

    public static bool IsAlive(int processId) =>
        SendSignal(processId, 0) == 0 && !File.ReadAllText($"/proc/{processId}/stat").Split(") ")[^1].StartsWith('Z');

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int SendSignal(int processId, int signal);
}
