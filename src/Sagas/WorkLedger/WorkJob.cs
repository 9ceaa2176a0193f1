using Contracts;
using Contracts.WorkLedger;

namespace Sagas.WorkLedger;

/// <summary>
/// One job's account. Its row is the lock: whoever changes a unit's outcome, cancels, or ends the job holds it.
/// <c>InputRows = Scored + Quarantined + Skipped + rows of open units</c> at every moment.
/// </summary>
public sealed class WorkJob
{
    public Guid Id { get; set; }
    public required string Tenant { get; set; }

    /// <summary>Names the pipeline, see <see cref="WorkKind"/>.</summary>
    public required string Kind { get; set; }

    public required string State { get; set; }

    /// <summary>The fence: results of an older epoch never commit. Cancelling and stopping raise it.</summary>
    public int Epoch { get; set; }

    public int Priority { get; set; }

    /// <summary>Units of the current stage.</summary>
    public int TotalUnits { get; set; }

    public int CommittedUnits { get; set; }

    /// <summary>Rows of all planned units; 0 until planned.</summary>
    public long InputRows { get; set; }

    public long Scored { get; set; }
    public long Quarantined { get; set; }

    /// <summary>Rows of units never scored because the job ended early.</summary>
    public long Skipped { get; set; }

    /// <summary>Rows of units that a lost worker had begun and another did again.</summary>
    public long Rescored { get; set; }

    /// <summary>Results that came after another had won, or of an older epoch.</summary>
    public int StaleResults { get; set; }

    /// <summary>Of all published files; 0 until there are some.</summary>
    public long ResultBytes { get; set; }

    public double MaxErrorRate { get; set; }
    public long? MaxErrors { get; set; }

    /// <summary>The pipeline's own request, as JSON.</summary>
    public required string Spec { get; set; }

    /// <summary>What the sender of a message calls the job; null when it gave no name, and for requests over HTTP.</summary>
    public string? Reference { get; set; }

    /// <summary>Id of the caller who asked for it; null when a message did.</summary>
    public string? RequestedBy { get; set; }

    /// <summary>Of the request in a message: tells whether the same name came with the same request.</summary>
    public string? RequestSha256 { get; set; }

    /// <summary>Input files whose units are in the ledger.</summary>
    public int PlannedFiles { get; set; }

    /// <summary>The pipeline's account of its input files, a JSON array.</summary>
    public string Inputs { get; set; } = "[]";

    /// <summary>Why the job was stopped or failed, as JSON of <see cref="Contracts.Failure"/>.</summary>
    public string? Failure { get; set; }

    /// <summary>Trace of the request that brought the job, as a <c>traceparent</c>: what the ledger says of the job later belongs to it.</summary>
    public string? Trace { get; set; }

    public DateTimeOffset AcceptedAt { get; set; }
    public DateTimeOffset? AdmittedAt { get; set; }
    public DateTimeOffset? PlannedAt { get; set; }
    public DateTimeOffset? EndedAt { get; set; }

    public JobRows CountRows() => new(InputRows, Scored, Quarantined, Skipped, InputRows - Scored - Quarantined - Skipped);
}

public static class WorkJobState
{
    /// <summary>The row exists; its saga may not.</summary>
    public const string Accepted = nameof(Accepted);
    public const string Queued = nameof(Queued);

    /// <summary>Has one of its tenant's places; its units are being cut.</summary>
    public const string Admitted = nameof(Admitted);
    public const string Running = nameof(Running);

    /// <summary>Every unit is committed: past the point where cancel can win.</summary>
    public const string Committed = nameof(Committed);
    public const string Completed = nameof(Completed);
    public const string Stopped = nameof(Stopped);
    public const string Failed = nameof(Failed);
}

/// <summary>One piece of a job: a shard, a segment, a file to convert.</summary>
public sealed class WorkUnit
{
    public Guid JobId { get; set; }

    /// <summary>Its job's.</summary>
    public required string Tenant { get; set; }

    /// <summary>0-based. Units that prepare the input are below 0.</summary>
    public int Unit { get; set; }

    public WorkUnitState State { get; set; }

    /// <summary>Times it was handed to a worker. Unbounded.</summary>
    public int Attempt { get; set; }

    /// <summary>Times a worker reported that it failed.</summary>
    public int Failures { get; set; }

    /// <summary>Times its lease ran out while a worker was on it.</summary>
    public int Crashes { get; set; }

    public long Rows { get; set; }
    public long RowsDone { get; set; }

    /// <summary>What the pipeline needs to make the message for a worker, as JSON.</summary>
    public required string Spec { get; set; }

    /// <summary>What the winner wrote, as JSON.</summary>
    public string? Result { get; set; }

    public long Scored { get; set; }
    public long Quarantined { get; set; }

    /// <summary>Id of the message that carries the current attempt: while it is unsent, the lease does not run.</summary>
    public Guid? DispatchId { get; set; }

    public DateTimeOffset? LeaseUntil { get; set; }
    public Guid? Execution { get; set; }
    public string? Worker { get; set; }
    public string? LastFailure { get; set; }
    public DateTimeOffset? StartedAt { get; set; }
    public DateTimeOffset? CommittedAt { get; set; }
    public int ElapsedMs { get; set; }
}

/// <summary>The numbers are in the tables' partial indexes.</summary>
public enum WorkUnitState : short
{
    Pending = 0,
    Dispatched = 1,
    Running = 2,
    Committed = 3,

    /// <summary>Replaced by its two halves; has no rows of its own any more.</summary>
    Split = 4,
    Skipped = 5,
}

/// <summary>A worker process as it last announced itself.</summary>
public sealed class WorkWorker
{
    public required string Worker { get; set; }
    public int Slots { get; set; }
    public required string[] Models { get; set; }
    public DateTimeOffset SeenAt { get; set; }
}
