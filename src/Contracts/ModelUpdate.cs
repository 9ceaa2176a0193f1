namespace Contracts;

/// <summary>A version of a model can be used now, or is called something else. Plain JSON, for integrating systems; extended by addition only.</summary>
/// <param name="Type">One of the constants here. It is the header <c>type</c> too.</param>
/// <param name="Tenant">Who can use it.</param>
/// <param name="Version">The version's sha256; of an alias that was removed, the one that it named.</param>
/// <param name="RowsPerSecond">Of one worker slot, in the dry run.</param>
/// <param name="Link">Into the API.</param>
/// <param name="Alias">What moved; null for a new version.</param>
/// <param name="PreviousVersion">Where the alias was before; null where it was nowhere.</param>
[Exchange("model-updates")]
public sealed record ModelUpdate(
    string Type, string Tenant, string Model, string Version, string? Description, long Bytes, double RowsPerSecond, DateTimeOffset At, string Link,
    string? Alias = null, string? PreviousVersion = null)
{
    public const string VersionRegistered = "model-version-registered";
    public const string AliasMoved = "model-alias-moved";
    public const string AliasRemoved = "model-alias-removed";
}
