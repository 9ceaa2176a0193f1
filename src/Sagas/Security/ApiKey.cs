namespace Sagas.Security;

/// <summary>A key that a program shows to be let in. The key itself is not kept, only what it can be recognised by.</summary>
public sealed class ApiKey
{
    /// <summary>Part of the key: finds its row.</summary>
    public required string Id { get; set; }

    public required string Tenant { get; set; }
    public required string Name { get; set; }

    /// <summary>Roles that it has.</summary>
    public required string[] Scopes { get; set; }

    /// <summary>Of the whole key. It has 256 random bits, so that a slow hash would add nothing.</summary>
    public required byte[] Sha256 { get; set; }

    public DateTimeOffset CreatedAt { get; set; }

    /// <summary>Id of the caller who made it.</summary>
    public required string CreatedBy { get; set; }

    public DateTimeOffset? ExpiresAt { get; set; }
    public DateTimeOffset? RevokedAt { get; set; }

    /// <summary>To the minute.</summary>
    public DateTimeOffset? LastUsedAt { get; set; }

    /// <summary>Id of the key that came in its place.</summary>
    public string? RotatedTo { get; set; }
}
