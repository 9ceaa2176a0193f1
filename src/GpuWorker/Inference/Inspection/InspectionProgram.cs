using System.Globalization;
using System.Text;
using Contracts;
using Interop.OnnxRuntime;

namespace GpuWorker.Inference.Inspection;

/// <summary>
/// The host's own executable as a process that looks at one model and ends: a file that takes its reader with it takes this process.
/// It has no settings, no credentials and no bus; what it is to do lies in its folder, and its report goes to standard output.
/// </summary>
public static class InspectionProgram
{
    const int MostReportBytes = 2 << 20;

    public const string Argument = "--inspect-model";

    /// <summary>Whether the process was started for this, and not as a host.</summary>
    public static bool IsAsked(string[] args) => args is [Argument, _, _];

    /// <param name="args">Behind the word itself, most bytes of data and most seconds of CPU.</param>
    public static int Run(string[] args)
    {
        // Before anything else: from here on whatever happens has limits.
        ProcessLimits.Set(long.Parse(args[1], CultureInfo.InvariantCulture), long.Parse(args[2], CultureInfo.InvariantCulture));
        ProcessLimits.EndWithParent();
        using var output = Console.OpenStandardOutput();
        output.Write(Encode(Inspect()));
        return 0;
    }

    static InspectionReport Inspect()
    {
        try
        {
            var task = WireJson.Read<InspectionTask>(File.ReadAllText(InspectionFolder.TaskName));
            OnnxLibrary.Load(task.Library);
            using var environment = new OnnxEnvironment(OnnxLogSeverity.Error, _ => { });
            var trial = new ModelTrial(environment, new InferenceOptions { DryRunSeconds = task.DryRunSeconds, MaxModelBytes = task.MaxModelBytes }, TimeProvider.System);
            if (task.AdapterSha256 is { } adapter)
                return new InspectionReport(Adapter: trial.InspectAdapter(InspectionFolder.AdapterName, adapter, ModelFile.Model, task.Sha256, task.Files));
            return new InspectionReport(Model: trial.Inspect(ModelFile.Model, task.Sha256, task.Files));
        }
        catch (Exception error) when (IsOutOfMemory(error))
        {
            return new InspectionReport(Refused: InspectionProcess.TooLarge());
        }
        catch (FailureException error)
        {
            return new InspectionReport(Refused: error.Failure);
        }
    }

    static bool IsOutOfMemory(Exception? error) => error switch
    {
        null => false,
        OutOfMemoryException => true,
        // The library's allocators say it in these words.
        OnnxException native when native.Message.Contains("bad_alloc", StringComparison.Ordinal) || native.Message.Contains("bad allocation", StringComparison.Ordinal)
            || native.Message.Contains("Failed to allocate memory", StringComparison.Ordinal) => true,
        _ => IsOutOfMemory(error.InnerException),
    };

    // It becomes a row, and part of every message that names the version.
    static byte[] Encode(InspectionReport report)
    {
        var json = Encoding.UTF8.GetBytes(WireJson.Write(report));
        return json.Length <= MostReportBytes
            ? json
            : Encode(new InspectionReport(Refused: new Failure(
                "model_invalid", $"The model describes itself in {json.Length} bytes of names and metadata; at most {MostReportBytes} are kept.")));
    }
}

/// <summary>What the process is to do.</summary>
/// <param name="Sha256">The model's version.</param>
/// <param name="Files">Every file of the model; null where the .onnx file is all.</param>
/// <param name="AdapterSha256">Set: look at the adapter, over the model.</param>
sealed record InspectionTask(string Library, string Sha256, IReadOnlyList<ModelFile>? Files, string? AdapterSha256, long MaxModelBytes, int DryRunSeconds);

/// <summary>What it found: one of the three.</summary>
sealed record InspectionReport(ModelInspected? Model = null, AdapterInspected? Adapter = null, Failure? Refused = null);
