namespace Contracts.WorkLedger;

// The ledger's own messages: they know jobs and units, no pipeline. In causal order.

/// <summary>Put a job in the queue of its tenant. Repeating it changes nothing.</summary>
public sealed record AdmitJob(Guid JobId);

/// <summary>One of the tenant's places is the job's: it may use workers now.</summary>
public sealed record JobAdmitted(Guid JobId);

/// <summary>A worker is there and can take work. Sent every 5 s; forgotten after 15 s.</summary>
/// <param name="Worker">Stable while the process lives.</param>
/// <param name="Slots">Units it works on at once.</param>
/// <param name="Models">sha256 of each model it holds ready.</param>
/// <param name="Address">Where the API reaches it for online scoring; null when it cannot.</param>
/// <param name="FreeRuns">Online scoring runs that could begin at once.</param>
public sealed record WorkerAlive(string Worker, int Slots, IReadOnlyList<string> Models, Uri? Address = null, int FreeRuns = 0);

/// <summary>A worker is on a unit: at once when it starts, then every 5 s. Lost ones cost nothing but a lease.</summary>
/// <param name="Execution">New each time a worker starts on the unit.</param>
/// <param name="RowsDone">Rows finished in this execution.</param>
public sealed record UnitHeartbeat(Guid JobId, int Epoch, int Unit, int Attempt, Guid Execution, string Worker, long RowsDone);

/// <summary>End all units of the job whose epoch is older. Broadcast: each worker has its own queue for it.</summary>
public sealed record StopJob(Guid JobId, int Epoch);

/// <summary>Asks the ledger to end a job's work before all units are committed.</summary>
/// <param name="Reason">Kept with the job when nobody stopped it before.</param>
public sealed record StopWork(Guid JobId, string Reason);

/// <summary>No unit of the job will be committed any more; what was not scored is counted as skipped.</summary>
/// <param name="Reason">Of who stopped it first.</param>
public sealed record WorkStopped(Guid JobId, string Reason);

/// <summary>Asks the ledger to say again what became of a job's units: its last message may be lost. Answers nothing while units are open.</summary>
public sealed record CheckWork(Guid JobId);
