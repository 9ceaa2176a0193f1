using System.Diagnostics.Metrics;
using Messaging.Postgres;

namespace Shop;

/// <summary>The system's clock, as it will be on another day. Its timers run as ever.</summary>
public sealed class ShiftedClock : TimeProvider
{
    long _offset;

    public DateOnly Today => DateOnly.FromDateTime(GetUtcNow().UtcDateTime);

    public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + TimeSpan.FromTicks(Interlocked.Read(ref _offset));

    public void Shift(TimeSpan by) => Interlocked.Add(ref _offset, by.Ticks);

    public void MoveTo(TimeOnly time) => Shift(time - TimeOnly.FromDateTime(GetUtcNow().UtcDateTime));
}

/// <summary>What a counter of ours has counted since. Tests of one class run one after the other; other classes are other ids.</summary>
public sealed class CountOf : IDisposable
{
    readonly MeterListener _listener = new();
    long _value;

    public CountOf(string instrument, string meter = Telemetry.MeterName)
    {
        _listener.InstrumentPublished = (published, listener) =>
        {
            if (published.Meter.Name == meter && published.Name == instrument)
                listener.EnableMeasurementEvents(published);
        };
        _listener.SetMeasurementEventCallback<long>((_, measurement, _, _) => Interlocked.Add(ref _value, measurement));
        _listener.SetMeasurementEventCallback<int>((_, measurement, _, _) => Interlocked.Add(ref _value, measurement));
        _listener.Start();
    }

    public long Value => Interlocked.Read(ref _value);

    public void Dispose() => _listener.Dispose();
}
