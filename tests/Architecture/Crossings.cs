using Architecture.Tests.Sound;

namespace Architecture.Tests.Sound
{
    class Noise
    {
        public static int Loudness() => Environment.ProcessorCount;
    }
}

// Each uses the other pipeline in one way only.
namespace Architecture.Tests.Film
{
    sealed class AsBase : Noise;

    sealed class AsProperty
    {
        public Noise? Heard { get; set; }
    }

    abstract class AsArgument
    {
        public abstract void Hear(Noise noise);
    }

    static class AsCall
    {
        public static int Hear() => Noise.Loudness();
    }

    static class AsLocal
    {
        public static object? Hear(object? any) => any as Noise;
    }

    static class AsTypeArgument
    {
        public static object Hear() => new List<Noise>();
    }

    static class InALambda
    {
        public static Func<int> Hear(int least) => () => Math.Max(least, Noise.Loudness());
    }

    static class Alone
    {
        public static string Hear() => nameof(Noise);
    }
}

namespace Architecture.Tests.WorkLedger
{
    static class AsLedger
    {
        public static int Count() => Architecture.Tests.Sound.Noise.Loudness();
    }
}
