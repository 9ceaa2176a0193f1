namespace Standalone;

public sealed class EmbeddedPostgresOptions
{
    /// <summary>The Standalone's data folder; PostgreSQL has <c>postgres</c> in it to itself.</summary>
    public required string DataFolder { get; init; }

    /// <summary>Folder with <c>bin</c>, <c>lib</c> and <c>share</c>. Default: the npm package.</summary>
    public string? Programs { get; init; }

    /// <summary>Off only for data that nobody will miss, as in tests: <c>fsync</c> and <c>full_page_writes</c>. A commit then survives a killed process, but no power cut.</summary>
    public bool Durable { get; init; } = true;

    /// <summary>How long a start may take, recovery after a crash included. Default: 2 minutes.</summary>
    public TimeSpan StartTimeout { get; init; } = TimeSpan.FromMinutes(2);
}
