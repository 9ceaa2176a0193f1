namespace Contracts;

/// <summary>A version of a model can be used now. Plain JSON, for integrating systems; extended by addition only.</summary>
/// <param name="Type"><see cref="VersionRegistered"/>. It is the header <c>type</c> too.</param>
/// <param name="Tenant">Who can use it.</param>
/// <param name="Version">sha256 of the file.</param>
/// <param name="RowsPerSecond">Of one worker slot, in the dry run.</param>
/// <param name="Link">Into the API.</param>
[Exchange("model-updates")]
public sealed record ModelUpdate(
    string Type, string Tenant, string Model, string Version, string? Description, long Bytes, double RowsPerSecond, DateTimeOffset At, string Link)
{
    public const string VersionRegistered = "model-version-registered";
}
