using MassTransit;

namespace Sagas.BatchInference;

/// <summary>One job's place in the pipeline. Counts while it runs are the ledger's (<see cref="WorkLedger.WorkJob"/>).</summary>
public sealed class BatchJobState : SagaStateMachineInstance
{
    public Guid CorrelationId { get; set; }
    public required string CurrentState { get; set; }
    public required string Tenant { get; set; }

    /// <summary>From admission.</summary>
    public int DeadlineSeconds { get; set; }

    public int PlanStep { get; set; }

    /// <summary>Times the current state has asked again for what it waits for.</summary>
    public int Asks { get; set; }

    /// <summary>Given by who cancelled.</summary>
    public string? CancelReason { get; set; }

    /// <summary>JSON of <see cref="Contracts.Failure"/>; what it ends with when it does not end well.</summary>
    public string? Failure { get; set; }

    public long Scored { get; set; }
    public long Quarantined { get; set; }
    public string? ManifestUri { get; set; }
    public string? ManifestSha256 { get; set; }

    public DateTime? EndedAt { get; set; }

    public Guid? StepTimeoutToken { get; set; }
    public Guid? QueueTimeoutToken { get; set; }
    public Guid? DeadlineToken { get; set; }
}
