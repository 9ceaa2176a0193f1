using Microsoft.Extensions.Options;

namespace Messaging.FaultInjection;

/// <summary>Draws the faults.</summary>
public sealed class FaultInjector(IOptions<FaultInjectionOptions> options, TimeProvider clock)
{
    readonly Lock _lock = new();
    readonly Random _random = new(options.Value.Seed);
    int _twice;
    int _late;
    int _reordered;
    int _lost;

    public int Twice => Volatile.Read(ref _twice);

    public int Late => Volatile.Read(ref _late);

    public int Reordered => Volatile.Read(ref _reordered);

    public int Lost => Volatile.Read(ref _lost);

    internal TimeProvider Clock => clock;

    internal TimeSpan LongestDelay => options.Value.LongestDelay;

    internal (Fault Fault, TimeSpan Delay) Draw(IEnumerable<string> messageTypes)
    {
        var settings = options.Value;
        if (!messageTypes.Any(settings.Applies))
            return (Fault.None, default);

        double draw;
        TimeSpan delay;
        lock (_lock)
            (draw, delay) = (_random.NextDouble(), settings.LongestDelay * _random.NextDouble());

        if ((draw -= settings.Lost) < 0)
            return Counted(ref _lost, Fault.Lost, delay);
        if ((draw -= settings.Twice) < 0)
            return Counted(ref _twice, Fault.Twice, delay);
        if ((draw -= settings.Late) < 0)
            return Counted(ref _late, Fault.Late, delay);
        return draw - settings.Reordered < 0 ? Counted(ref _reordered, Fault.Reordered, delay) : (Fault.None, default);
    }

    static (Fault, TimeSpan) Counted(ref int count, Fault fault, TimeSpan delay)
    {
        Interlocked.Increment(ref count);
        return (fault, delay);
    }
}

enum Fault
{
    None,
    Twice,
    Late,
    Reordered,
    Lost,
}
