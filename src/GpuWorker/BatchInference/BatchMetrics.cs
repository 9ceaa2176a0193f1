using System.Diagnostics.Metrics;
using GpuWorker.Inference;

namespace GpuWorker.BatchInference;

static class BatchMetrics
{
    static readonly Meter Meter = new("GpuWorker.BatchInference");
    static readonly Histogram<double> RunTime = Meter.CreateHistogram("batch.run.duration", "ms", "How long a vector of rows took in the model", advice: Durations.Advice);
    static readonly Histogram<double> ShardTime = Meter.CreateHistogram("batch.shard.duration", "ms", "How long shards took, from reading to writing", advice: Durations.Advice);
    static readonly Counter<long> Rows = Meter.CreateCounter<long>("batch.rows", "{row}", "Rows of finished shards, by what became of them");
    static readonly Counter<long> Failed = Meter.CreateCounter<long>("batch.units.failed", "{unit}", "Units that were given back undone, by code");

    internal static void Ran(TimeSpan elapsed, string provider) => RunTime.Record(elapsed.TotalMilliseconds, Durations.On(provider));

    /// <param name="provider">Null where no model was needed.</param>
    internal static void Finished(long scored, long quarantined, TimeSpan elapsed, string? provider)
    {
        var on = Durations.On(provider ?? "none");
        ShardTime.Record(elapsed.TotalMilliseconds, on);
        Rows.Add(scored, on, new KeyValuePair<string, object?>("outcome", "scored"));
        Rows.Add(quarantined, on, new KeyValuePair<string, object?>("outcome", "quarantined"));
    }

    internal static void FailedAs(string code) => Failed.Add(1, new KeyValuePair<string, object?>("code", code));
}
