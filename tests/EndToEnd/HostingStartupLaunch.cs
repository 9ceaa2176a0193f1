using Support;

namespace EndToEnd;

/// <summary>A Standalone into which ASP.NET Core loads this assembly, because the environment names it.</summary>
static class HostingStartupLaunch
{
    static readonly string Assembly = typeof(HostingStartupLaunch).Assembly.GetName().Name!;

    public static IReadOnlyDictionary<string, string> Environment { get; } = new Dictionary<string, string> { ["ASPNETCORE_HOSTINGSTARTUPASSEMBLIES"] = Assembly };

    public static StandaloneLaunch Of(string dataFolder) => new(dataFolder)
    {
        Runtime = ["exec", "--depsfile", Beside($"{Assembly}.deps.json"), "--runtimeconfig", Beside("Standalone.runtimeconfig.json")],
        Environment = Environment,
    };

    static string Beside(string file) => Path.Combine(AppContext.BaseDirectory, file);
}
