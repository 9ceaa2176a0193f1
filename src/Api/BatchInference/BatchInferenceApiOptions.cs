using System.ComponentModel.DataAnnotations;

namespace Api.BatchInference;

public sealed class BatchInferenceApiOptions
{
    public const string Section = "Api:BatchInference";

    /// <summary>Where results go when a request names no place, as <c>file://</c> within the allowed roots. Default: <c>file:///var/lib/sagas/results</c>.</summary>
    [Required]
    public string Output { get; init; } = "file:///var/lib/sagas/results";

    /// <summary>Input of a request that names a model but no input, by model name, as <c>file://</c>. Default: none.</summary>
    public Dictionary<string, string> SampleInputs { get; init; } = [];

    /// <summary>How often a running job's progress is read for its viewers. Default: 400 ms, so that they hear at least once a second.</summary>
    [Range(typeof(TimeSpan), "00:00:00.010", "00:00:01")]
    public TimeSpan ProgressPoll { get; init; } = TimeSpan.FromMilliseconds(400);

    /// <summary>Largest message taken from <c>batch-inference-input</c>, in bytes. Default: 256 KiB.</summary>
    [Range(1, 1 << 20)]
    public int MaxMessageBytes { get; init; } = 256 << 10;

    /// <summary>Deepest nesting of such a message, its envelope included. Default: 16.</summary>
    [Range(1, 64)]
    public int MaxMessageDepth { get; init; } = 16;
}
