namespace Sagas.Persistence;

/// <summary>The first answer to a request with an Idempotency-Key, written in the transaction that did what it asked. Kept 24 h.</summary>
public sealed class IdempotentRequest
{
    public required string Tenant { get; set; }
    public required string Route { get; set; }
    public required string Key { get; set; }

    /// <summary>sha256 of the body: the same key with another body is a mistake of the caller.</summary>
    public required string BodySha256 { get; set; }

    public int StatusCode { get; set; }
    public required string Response { get; set; }
    public string? Location { get; set; }
    public DateTimeOffset CreatedAt { get; set; }
}
