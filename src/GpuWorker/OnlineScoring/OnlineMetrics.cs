using System.Diagnostics.Metrics;
using GpuWorker.Inference;

namespace GpuWorker.OnlineScoring;

static class OnlineMetrics
{
    static readonly Meter Meter = new("GpuWorker.OnlineScoring");
    static readonly Histogram<double> QueueWait = Meter.CreateHistogram("online.queue.wait", "ms", "How long requests waited for their run", advice: Durations.Advice);
    static readonly Histogram<int> BatchRows = Meter.CreateHistogram<int>("online.batch.rows", "{row}", "Rows that were run together");
    static readonly Histogram<double> RunTime = Meter.CreateHistogram("online.run.duration", "ms", "How long runs took", advice: Durations.Advice);
    static readonly Counter<long> Rows = Meter.CreateCounter<long>("online.rows", "{row}", "Rows scored for waiting callers");
    static readonly Counter<long> Refused = Meter.CreateCounter<long>("online.requests.refused", "{request}", "Requests that were answered without a score, by code");

    internal static void Waited(double milliseconds, string provider) => QueueWait.Record(milliseconds, Durations.On(provider));

    internal static void Ran(int rows, double milliseconds, string provider)
    {
        var on = Durations.On(provider);
        BatchRows.Record(rows, on);
        RunTime.Record(milliseconds, on);
        Rows.Add(rows, on);
    }

    internal static void RefusedAs(string code) => Refused.Add(1, new KeyValuePair<string, object?>("code", code));
}
