using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace GpuWorker.Tests;

/// <summary>What this worker's meters tell while it is there.</summary>
sealed class HeardMeters : IDisposable
{
    static readonly AsyncLocal<HeardMeters?> Current = new();

    readonly MeterListener _listener = new();
    readonly ConcurrentQueue<(string Name, double Value, Dictionary<string, object?> Tags)> _heard = [];

    /// <param name="fromHere">Only what is told in what is called from here, not in what runs beside it.</param>
    public HeardMeters(bool fromHere = true)
    {
        if (fromHere)
            Current.Value = this;
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name.StartsWith("GpuWorker", StringComparison.Ordinal))
                listener.EnableMeasurementEvents(instrument);
        };
        _listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Hear(instrument, value, tags));
        _listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Hear(instrument, value, tags));
        _listener.SetMeasurementEventCallback<int>((instrument, value, tags, _) => Hear(instrument, value, tags));
        _listener.Start();

        void Hear(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
        {
            if (!fromHere || Current.Value == this)
                _heard.Enqueue((instrument.Name, value, tags.ToArray().ToDictionary()));
        }
    }

    /// <summary>Asks the gauges.</summary>
    public void Ask() => _listener.RecordObservableInstruments();

    /// <summary>Values under that name with these tags, or more.</summary>
    public IReadOnlyList<double> Of(string name, params (string Name, string Value)[] tags) =>
        [.. _heard.Where(one => one.Name == name && tags.All(tag => one.Tags.TryGetValue(tag.Name, out var value) && Equals(value, tag.Value))).Select(one => one.Value)];

    public void Dispose() => _listener.Dispose();
}
