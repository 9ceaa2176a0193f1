namespace Support;

/// <summary>How a test starts Standalone.</summary>
public sealed record StandaloneLaunch(string DataFolder)
{
    /// <summary>0 takes any free one.</summary>
    public int Port { get; init; }

    public IReadOnlyList<string> Arguments { get; init; } = [];

    /// <summary>The environment profile; <c>Test</c> has a throw-away PostgreSQL, fast and safe against kill -9 of processes.</summary>
    public string Profile { get; init; } = "Test";

    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    /// <summary>A command to put in front, which must exec: <c>setpriv</c>.</summary>
    public IReadOnlyList<string> Launcher { get; init; } = [];

    /// <summary>Arguments of <c>dotnet</c> itself: how a test brings parts of its own into the process.</summary>
    public IReadOnlyList<string> Runtime { get; init; } = [];

    public TimeSpan ReadyWithin { get; init; } = TimeSpan.FromSeconds(60);
}
