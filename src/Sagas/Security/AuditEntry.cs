namespace Sagas.Security;

/// <summary>
/// One action of one tenant's people or programs. Rows are only ever added, by <c>sagas.append_audit</c>, each with a hash over itself and
/// over the hash of the one before.
/// </summary>
public sealed class AuditEntry
{
    public required string Tenant { get; set; }

    /// <summary>1, 2, 3 and so on, without a gap, in each tenant.</summary>
    public long Seq { get; set; }

    public DateTimeOffset At { get; set; }

    /// <summary>Id of the caller.</summary>
    public required string Actor { get; set; }

    /// <summary>What the caller was called then.</summary>
    public string? ActorName { get; set; }

    /// <summary>Such as <c>batch-job.cancel</c>.</summary>
    public required string Action { get; set; }

    /// <summary>What it was done to.</summary>
    public required string Subject { get; set; }

    public string? Reason { get; set; }

    /// <summary>Trace of the request, as a <c>traceparent</c>.</summary>
    public string? Trace { get; set; }

    public required byte[] PreviousHash { get; set; }
    public required byte[] Hash { get; set; }
}

/// <summary>Where a tenant's audit ends: tells when its last rows are gone.</summary>
public sealed class AuditHead
{
    public required string Tenant { get; set; }
    public long Seq { get; set; }
    public required byte[] Hash { get; set; }
}
