using GpuWorker.Inference.Inspection;
using Microsoft.Extensions.Options;
using ServiceDefaults;
using Standalone;

if (InspectionProgram.IsAsked(args)) return InspectionProgram.Run(args);

try
{
    return await StandaloneHost.RunAsync(StandaloneOptions.Parse(args));
}
catch (Exception e) when (e is OptionsValidationException or StandaloneUsageException or DataFolderInUseException or PostgresStartException or NativePartMissingException or IOException)
{
    await Console.Error.WriteLineAsync(e.Message);
    return e is StandaloneUsageException ? 2 : 1;
}
