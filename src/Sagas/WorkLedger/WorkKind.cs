using Contracts;

namespace Sagas.WorkLedger;

/// <summary>
/// What the ledger must know of a pipeline: how to say its own sentences in the pipeline's words.
/// Registered once per pipeline; the ledger itself knows none.
/// </summary>
/// <param name="Name">Stored in <see cref="WorkJob.Kind"/>.</param>
/// <param name="Dispatch">The order for a worker, and the queue it goes to.</param>
/// <param name="Committed">Every unit is committed.</param>
/// <param name="Prepared">Every unit that prepares the input (below 0) is committed; null where there are none.</param>
/// <param name="Failed">The ledger ended the job.</param>
/// <param name="Split">Cuts a unit's spec in two, at a number of rows; null where a unit cannot be cut.</param>
/// <param name="IsBlamed">Whether <paramref name="Blame"/> was applied to the spec.</param>
/// <param name="Blame">Marks a unit's spec so that its rows are quarantined with the reason instead of tried again.</param>
public sealed record WorkKind(
    string Name,
    Func<WorkJob, WorkUnit, (Uri Queue, object Message)> Dispatch,
    Func<WorkJob, object> Committed,
    Func<WorkJob, object>? Prepared,
    Func<WorkJob, Failure, object> Failed,
    Func<string, long, (string First, string Second)>? Split,
    Func<string, Failure, string>? Blame,
    Func<string, bool>? IsBlamed);
