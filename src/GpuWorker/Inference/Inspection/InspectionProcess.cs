using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Contracts;

namespace GpuWorker.Inference.Inspection;

/// <summary>
/// A child process that looks at a model, and the eyes on it: how long it takes, how much memory it has, how much it says. Whatever
/// becomes of it is an answer about the model.
/// </summary>
sealed partial class InspectionProcess(InferenceOptions options, TimeProvider time)
{
    const int MostReportBytes = 4 << 20;
    const int MostErrorBytes = 64 << 10;
    const int MostFields = 100;
    const int LongestText = 2000;
    const int SignalCpu = 128 + 24;

    /// <summary>What a process has before it opens anything: the runtime's own.</summary>
    const long RuntimeBytes = 512L << 20;

    // Start, and reading the files.
    static readonly TimeSpan Grace = TimeSpan.FromSeconds(8);
    static readonly TimeSpan Look = TimeSpan.FromMilliseconds(20);

    /// <summary>What is started.</summary>
    internal (string File, string? Entry) Program { get; init; } = Executable();

    long MostBytes => (long)options.InspectMemoryMegabytes << 20;

    TimeSpan Longest => TimeSpan.FromSeconds(options.DryRunSeconds) + Grace;

    public static Failure TooLarge() => new(
        "model_too_large", "The model needs more memory than one may have when it is tried. Make it smaller, or ask the operator for more (Inference:InspectMemoryMegabytes).");

    Failure TooSlow() => new("model_too_slow", $"The model took more than {Longest.TotalSeconds:0} s to open and try (Inference:DryRunSeconds).");

    static Failure Crashed(string how) => new("model_crashed", $"The process that tried the model {how}: what opens it may not survive it.");

    /// <exception cref="FailureException">What the child says is wrong with the model, or <c>model_crashed</c>, <c>model_too_slow</c>, <c>model_too_large</c>;
    /// <c>inspection_unavailable</c> when no child can be started.</exception>
    public async Task<InspectionReport> RunAsync(InspectionFolder folder, CancellationToken cancellationToken)
    {
        using var process = Start(folder.Path);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        try
        {
            var surplus = new TaskCompletionSource();
            var memory = WatchMemoryAsync(process, stop.Token);
            var report = ReadAsync(process.StandardOutput.BaseStream, MostReportBytes, surplus, stop.Token);
            var errors = ReadAsync(process.StandardError.BaseStream, MostErrorBytes, null, stop.Token);
            var end = process.WaitForExitAsync(stop.Token);
            var limit = Task.Delay(Longest, time, stop.Token);
            // Whichever of them is over its limit ends first.
            var first = await Task.WhenAny(end, memory, limit, surplus.Task);
            cancellationToken.ThrowIfCancellationRequested();
            if (first != end)
                throw new FailureException(first == memory ? TooLarge() : first == limit ? TooSlow() : Crashed("said more than a report can be"));
            await end;
            // A process that it left behind may hold its pipes open.
            if (await Task.WhenAny(Task.WhenAll(report, errors), limit) == limit)
                throw new FailureException(TooSlow());
            var (said, complained) = (await report, await errors);
            return Judge(process.ExitCode, said, Encoding.UTF8.GetString(complained));
        }
        finally
        {
            await stop.CancelAsync();
            // It has nothing that could be lost.
            if (!process.HasExited)
                process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync(CancellationToken.None);
        }
    }

    InspectionReport Judge(int exitCode, byte[] said, string complained)
    {
        if (exitCode == SignalCpu)
            throw new FailureException(TooSlow());
        if (exitCode != 0 && (complained.Contains("Out of memory", StringComparison.OrdinalIgnoreCase) || complained.Contains("bad_alloc", StringComparison.Ordinal) || complained.Contains("OutOfMemory", StringComparison.Ordinal)))
            throw new FailureException(TooLarge());
        if (exitCode != 0)
            throw new FailureException(Crashed(exitCode > 128 ? $"ended by signal {exitCode - 128}" : $"ended with code {exitCode}"));
        try
        {
            var report = JsonSerializer.Deserialize<InspectionReport>(said, WireJson.Options);
            if (report?.Refused is { Code: not null, Message: not null } refused && Code().IsMatch(refused.Code))
                throw new FailureException(Shorten(refused));
            return report is { Adapter.Sha256: not null } || (report?.Model is { } model && IsWhole(model)) ? report : throw new FailureException(Crashed("reported nothing"));
        }
        catch (JsonException error)
        {
            throw new FailureException(Crashed("reported what is no report"), inner: error);
        }
    }

    // It is said to whoever sent the model.
    static Failure Shorten(Failure said) => new(
        said.Code, Shorten(said.Message),
        [.. said.Fields.OfType<FieldFailure>().Where(field => field is { Field: not null, Code: not null, Message: not null }).Take(MostFields)
            .Select(field => field with { Field = Shorten(field.Field), Message = Shorten(field.Message) })]);

    static string Shorten(string text) => text.Length <= LongestText ? text : $"{text.AsSpan(0, LongestText)}…";

    // Deserializing leaves out what is not there.
    static bool IsWhole(ModelInspected model) =>
        model is { Sha256: not null, PeakLoadBytes: >= 0, PeakBatchBytes: >= 0, Signature: { Inputs: not null, Outputs: not null, Columns: not null, Metadata: not null, Producer: not null } }
        && double.IsFinite(model.RowsPerSecond) && model.RowsPerSecond >= 0
        && (model.Golden is null || model.Golden.Values is { Count: > 0 and <= SelfTest.MostValues });

    Process Start(string folder)
    {
        var start = new ProcessStartInfo
        {
            WorkingDirectory = folder,
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        (start.FileName, var entry) = Program;
        foreach (var argument in new[] { entry, InspectionProgram.Argument, Text(MostBytes + RuntimeBytes), Text((long)Longest.TotalSeconds * 2) }.OfType<string>())
            start.ArgumentList.Add(argument);
        // None of ours: they hold credentials. What .NET needs to start, and no way in for a debugger.
        start.Environment.Clear();
        start.Environment["DOTNET_ROOT"] = RuntimeRoot();
        start.Environment["DOTNET_EnableDiagnostics"] = "0";
        start.Environment["DOTNET_gcServer"] = "0";
        start.Environment["DOTNET_TieredPGO"] = "0";
        start.Environment["TMPDIR"] = folder;
        try
        {
            return Process.Start(start)!;
        }
        catch (Win32Exception error)
        {
            throw new FailureException(new Failure("inspection_unavailable", "The worker cannot start a process to try the model in. Try again later."), inner: error);
        }
    }

    /// <summary>This host again: its own executable, or the same assembly by the same dotnet. In a host that has no such entry (a test), the worker's.</summary>
    static (string File, string? Entry) Executable()
    {
        var own = Assembly.GetEntryAssembly()?.GetName().Name is "Standalone" or "GpuWorker" ? Assembly.GetEntryAssembly()!.GetName().Name! : "GpuWorker";
        var process = Environment.ProcessPath!;
        if (Path.GetFileNameWithoutExtension(process) == own)
            return (process, null);
        var dotnet = Path.GetFileNameWithoutExtension(process) == "dotnet" ? process : Path.Join(RuntimeRoot(), "dotnet");
        return (dotnet, Path.Join(AppContext.BaseDirectory, $"{own}.dll"));
    }

    // .../shared/Microsoft.NETCore.App/{version}/
    static string RuntimeRoot() => Path.GetFullPath(Path.Join(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", ".."));

    static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);

    /// <summary>Ends when the process has more than it may; never otherwise.</summary>
    async Task WatchMemoryAsync(Process process, CancellationToken stop)
    {
        var id = Text(process.Id);
        using var timer = new PeriodicTimer(Look, time);
        while (MemoryPeak.Read(id, "VmRSS") <= MostBytes + RuntimeBytes / 2)
            await timer.WaitForNextTickAsync(stop);
    }

    /// <summary>To the end, or to <paramref name="most"/> bytes; what is more is taken off the pipe and dropped, so that its writer can exit.</summary>
    static async Task<byte[]> ReadAsync(Stream stream, int most, TaskCompletionSource? surplus, CancellationToken stop)
    {
        var (whole, buffer) = (new MemoryStream(), new byte[16 << 10]);
        while (await stream.ReadAsync(buffer, stop) is > 0 and var read)
        {
            if (whole.Length + read <= most)
                whole.Write(buffer, 0, read);
            else
                surplus?.TrySetResult();
        }
        return whole.ToArray();
    }

    [GeneratedRegex(@"^(model|adapter)_[a-z_]{1,60}\z", RegexOptions.CultureInvariant)]
    private static partial Regex Code();
}
