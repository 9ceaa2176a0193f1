using System.Diagnostics.Metrics;

namespace GpuWorker.OnlineScoring;

static class OnlineMetrics
{
    static readonly Meter Meter = new("GpuWorker.OnlineScoring");
    static readonly Histogram<double> QueueWait = Meter.CreateHistogram<double>("online.queue.wait", "ms", "How long requests waited for their run");
    static readonly Histogram<int> BatchRows = Meter.CreateHistogram<int>("online.batch.rows", "{row}", "Rows that were run together");
    static readonly Histogram<double> RunTime = Meter.CreateHistogram<double>("online.run.duration", "ms", "How long runs took");
    static readonly Counter<long> Rows = Meter.CreateCounter<long>("online.rows", "{row}", "Rows scored for waiting callers");
    static readonly Counter<long> Refused = Meter.CreateCounter<long>("online.requests.refused", "{request}", "Requests that were answered without a score, by code");

    internal static void Waited(double milliseconds) => QueueWait.Record(milliseconds);

    internal static void Ran(int rows, double milliseconds)
    {
        BatchRows.Record(rows);
        RunTime.Record(milliseconds);
        Rows.Add(rows);
    }

    internal static void RefusedAs(string code) => Refused.Add(1, new KeyValuePair<string, object?>("code", code));
}
