using System.ComponentModel.DataAnnotations;
using Contracts.BatchInference;

namespace Api.BatchInference;

public sealed class BatchInferenceApiOptions
{
    public const string Section = "Api:BatchInference";

    static readonly string[] Taken = ["batch-", "work-", "amq."];

    /// <summary>
    /// Where results go when a request names no place, as <c>file://</c> within the allowed roots: each tenant's below its own
    /// <c>@{tenant}</c> there. Default: <c>file:///var/lib/sagas/results</c>.
    /// </summary>
    [Required]
    public string Output { get; init; } = "file:///var/lib/sagas/results";

    /// <summary>Input of a request that names a model but no input, by model name, as <c>file://</c>. Default: none.</summary>
    public Dictionary<string, string> SampleInputs { get; init; } = [];

    /// <summary>How often a running job's progress is read for its viewers. Default: 400 ms, so that they hear at least once a second.</summary>
    [Range(typeof(TimeSpan), "00:00:00.010", "00:00:01")]
    public TimeSpan ProgressPoll { get; init; } = TimeSpan.FromMilliseconds(400);

    /// <summary>
    /// One more queue, and exchange, from which jobs are taken: each message says in <c>tenant</c> whose it is, and is believed. Who may
    /// publish there is the broker's to say. 1 to 200 letters, digits, dots, dashes or underscores. Default: empty, none.
    /// </summary>
    [RegularExpression("^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$", ErrorMessage = "Api:BatchInference:TrustedInput must be 1 to 200 letters, digits, dots, dashes or underscores.")]
    public string TrustedInput { get; init; } = "";

    // The platform's own queues and exchanges begin so, and the broker's.
    internal bool IsTrustedInputFree =>
        TrustedInput.StartsWith($"{BatchQueues.Input}-", StringComparison.Ordinal)
        || !(TrustedInput is "dead-letters" or "model-updates" || Taken.Any(prefix => TrustedInput.StartsWith(prefix, StringComparison.Ordinal)));

    /// <summary>Largest message taken from such a queue, in bytes. Default: 256 KiB.</summary>
    [Range(1, 1 << 20)]
    public int MaxMessageBytes { get; init; } = 256 << 10;

    /// <summary>Deepest nesting of such a message, its envelope included. Default: 16.</summary>
    [Range(1, 64)]
    public int MaxMessageDepth { get; init; } = 16;
}
