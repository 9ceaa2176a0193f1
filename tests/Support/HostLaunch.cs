namespace Support;

/// <summary>How a test starts one host of several.</summary>
/// <param name="Host">Name of its assembly: <c>Api</c>, <c>Consumers</c>, <c>GpuWorker</c>.</param>
/// <param name="Settings">Its configuration, as environment variables.</param>
public sealed record HostLaunch(string Host, IReadOnlyDictionary<string, string> Settings)
{
    /// <summary>Before its settings.</summary>
    public IReadOnlyList<string> Arguments { get; init; } = [];

    /// <summary>Until it listens; what it needs may be away even then.</summary>
    public TimeSpan ListensWithin { get; init; } = TimeSpan.FromMinutes(3);
}
