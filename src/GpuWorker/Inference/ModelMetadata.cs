using System.Text.Json;
using Contracts;

namespace GpuWorker.Inference;

/// <summary>The keys of a model's own metadata that mean something here.</summary>
/// <param name="Features">Columns of the [N, F] input, in order; null when not said.</param>
/// <param name="Classes">Names of the values of an [N, K] output; null when not said.</param>
sealed record ModelMetadata(IReadOnlyList<string>? Features, IReadOnlyList<string>? Classes, bool AllowMissing, bool AllowNaN)
{
    /// <exception cref="FailureException"><c>model_invalid</c>: a key is not as it should be.</exception>
    internal static ModelMetadata Read(IReadOnlyDictionary<string, string> metadata)
    {
        var features = List(metadata, "features");
        if (features?.GroupBy(name => name, StringComparer.OrdinalIgnoreCase).FirstOrDefault(group => group.Count() > 1) is { } twice)
            throw Bad("features", $"names {twice.Key} {twice.Count()} times");
        return new ModelMetadata(
            features, List(metadata, "classes"),
            Choice(metadata, "missing", "forbid", "nan") == "nan",
            Choice(metadata, "nan", "allow", "forbid") == "allow");
    }

    static string[]? List(IReadOnlyDictionary<string, string> metadata, string key)
    {
        if (!metadata.TryGetValue(key, out var json))
            return null;
        try
        {
            using var document = JsonDocument.Parse(json);
            if (document.RootElement.ValueKind == JsonValueKind.Array && document.RootElement.GetArrayLength() > 0)
                return [.. document.RootElement.EnumerateArray().Select(one => one.ToString())];
        }
        catch (JsonException)
        {
            // Said below.
        }
        throw Bad(key, "must be a JSON array of names, for example [\"age\", \"income\"]");
    }

    static string Choice(IReadOnlyDictionary<string, string> metadata, string key, string usual, string other) =>
        !metadata.TryGetValue(key, out var value) ? usual
        : value == usual || value == other ? value
        : throw Bad(key, $"must be {usual} or {other}, not {value}");

    static FailureException Bad(string key, string problem) => new("model_invalid", $"The model's metadata key {key} {problem}.");
}
