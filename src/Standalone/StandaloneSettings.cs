using Microsoft.Extensions.Configuration.Memory;

namespace Standalone;

/// <summary>Where everything is when one folder has it all. Files, environment and command line may say otherwise.</summary>
static class StandaloneSettings
{
    public static void AddStandaloneSettings(this ConfigurationManager configuration, DataFolder data)
    {
        var inputs = Path.Combine(data.Path, "inputs");
        var results = Path.Combine(data.Path, "results");
        var models = Path.Combine(data.Path, "models");
        foreach (var folder in new[] { inputs, results, models })
            Directory.CreateDirectory(folder);

        var settings = new Dictionary<string, string?>
        {
            ["Artifacts:InputRoots:0"] = inputs,
            ["Artifacts:OutputRoots:0"] = results,
            ["Artifacts:ModelsRoot"] = models,
            ["Artifacts:CacheFolder"] = Path.Combine(data.Path, "cache"),
            ["Api:BatchInference:Output"] = new Uri(results).AbsoluteUri,
        };
        if (SampleFolder.Find() is { } samples)
        {
            settings["Artifacts:InputRoots:1"] = Path.Combine(samples, "data");
            settings["Api:SampleModels"] = Path.Combine(samples, "models");
            foreach (var (model, table) in SampleFolder.Jobs)
                settings[$"Api:BatchInference:SampleInputs:{model}"] = new Uri(Path.Combine(samples, "data", table)).AbsoluteUri;
        }

        // First in the list, so that every other source has the last word.
        configuration.Sources.Insert(0, new MemoryConfigurationSource { InitialData = settings });
    }
}
