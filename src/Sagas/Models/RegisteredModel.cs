namespace Sagas.Models;

/// <summary>One version of a model of one tenant. <c>latest</c> is the version registered last.</summary>
public sealed class RegisteredModel
{
    public required string Tenant { get; set; }
    public required string Name { get; set; }

    /// <summary>sha256 of the file, lower-case hex: the version.</summary>
    public required string Version { get; set; }

    public required string Uri { get; set; }
    public long Bytes { get; set; }
    public string? Description { get; set; }

    /// <summary>JSON of <see cref="Contracts.ModelSignature"/>.</summary>
    public required string Signature { get; set; }

    /// <summary>Of one worker slot: from the dry run, then from committed shards.</summary>
    public double RowsPerSecond { get; set; }

    public DateTimeOffset RegisteredAt { get; set; }
}
