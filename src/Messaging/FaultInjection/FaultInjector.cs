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

    internal Faults Draw(IEnumerable<string> messageTypes)
    {
        var settings = options.Value;
        if (!messageTypes.Any(settings.Applies))
            return default;

        Faults faults;
        lock (_lock)
        {
            faults = new Faults(Hits(settings.Lost), Hits(settings.Twice), Hits(settings.Late), Hits(settings.Reordered), Delay(), Delay());
        }

        if (faults.Lost)
        {
            Interlocked.Increment(ref _lost);
            return faults;
        }

        if (faults.Twice)
            Interlocked.Increment(ref _twice);
        if (faults.Late)
            Interlocked.Increment(ref _late);
        else if (faults.Reordered)
            Interlocked.Increment(ref _reordered);
        return faults;

        bool Hits(double share) => _random.NextDouble() < share;

        TimeSpan Delay() => settings.LongestDelay * _random.NextDouble();
    }
}

/// <summary>What befalls one message.</summary>
/// <param name="TwinDelay">How long after the message its twin comes.</param>
readonly record struct Faults(bool Lost, bool Twice, bool Late, bool Reordered, TimeSpan Delay, TimeSpan TwinDelay);
