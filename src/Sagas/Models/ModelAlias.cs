namespace Sagas.Models;

/// <summary>A name for one version of a model at a time, such as <c>champion</c>. <c>latest</c> is none: it is computed.</summary>
public sealed class ModelAlias
{
    public required string Tenant { get; set; }
    public required string Model { get; set; }
    public required string Alias { get; set; }

    /// <summary>sha256 of the version.</summary>
    public required string Version { get; set; }

    public DateTimeOffset MovedAt { get; set; }

    /// <summary>Id of the caller.</summary>
    public required string MovedBy { get; set; }
}

/// <summary>One change of an alias. Rows are only ever added.</summary>
public sealed class ModelAliasMove
{
    public required string Tenant { get; set; }
    public required string Model { get; set; }
    public required string Alias { get; set; }

    /// <summary>1, 2, 3 and so on, for each alias.</summary>
    public long Seq { get; set; }

    /// <summary>Null where the alias was not there before.</summary>
    public string? FromVersion { get; set; }

    /// <summary>Null where it was removed.</summary>
    public string? ToVersion { get; set; }

    public DateTimeOffset At { get; set; }

    /// <summary>Id of the caller.</summary>
    public required string Actor { get; set; }

    /// <summary>What the caller was called then.</summary>
    public string? ActorName { get; set; }

    public required string Reason { get; set; }
}
