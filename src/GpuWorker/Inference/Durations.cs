using System.Diagnostics.Metrics;

namespace GpuWorker.Inference;

/// <summary>How durations are told. By the execution provider alone: names of models are their tenants', and there is no end of them.</summary>
static class Durations
{
    /// <summary>In milliseconds, from a small network's run to a large model's load; the usual boundaries begin at 5.</summary>
    internal static InstrumentAdvice<double> Advice { get; } =
        new() { HistogramBucketBoundaries = [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000] };

    static readonly Meter Meter = new("GpuWorker.Inference");
    static readonly Histogram<double> ColdStarts = Meter.CreateHistogram(
        "model.cold_start.duration", "ms", "How long those waited who found the model closed, until it could score for them", advice: Advice);

    internal static KeyValuePair<string, object?> On(string provider) => new("provider", provider);

    /// <param name="work"><c>online</c> or <c>batch</c>.</param>
    internal static void StartedCold(TimeSpan waited, string provider, string work) =>
        ColdStarts.Record(waited.TotalMilliseconds, On(provider), new KeyValuePair<string, object?>("work", work));
}
