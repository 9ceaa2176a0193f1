namespace Contracts;

/// <summary>
/// Why something was refused or failed. The same <paramref name="Code"/> appears in problem details, in events and in a
/// failed job, wherever the fault was found.
/// </summary>
/// <param name="Code">Stable, snake case: <c>input_missing</c>, <c>column_missing</c>, <c>input_changed</c>.</param>
/// <param name="Message">One sentence for a person, ending with what to do next.</param>
/// <param name="Fields">Every bad field at once; empty when the fault is not in a field.</param>
public sealed record Failure(string Code, string Message, IReadOnlyList<FieldFailure>? Fields = null)
{
    // A failure becomes an answer, a row, an event: what it repeats of a request may hold a secret.
    public string Message { get; init; } = Redaction.Text(Message);

    public IReadOnlyList<FieldFailure> Fields { get; init; } = Fields ?? [];
}

/// <param name="Field">As the caller spelled it in the request, e.g. <c>input.uri</c> or <c>columns.age</c>.</param>
/// <param name="Code">Stable, snake case.</param>
/// <param name="Message">What is wrong and what would be right.</param>
public sealed record FieldFailure(string Field, string Code, string Message)
{
    public string Field { get; init; } = Redaction.Text(Field);

    public string Message { get; init; } = Redaction.Text(Message);
}

/// <summary>Thrown where a <see cref="Failure"/> is found; borders translate it (problem details, ShardFailed, BatchPlanFailed).</summary>
public sealed class FailureException(Failure failure, bool isTransient = false, Exception? inner = null)
    : Exception(failure.Message, inner)
{
    public Failure Failure { get; } = failure;

    /// <summary>Whether the same call may succeed later without anybody changing anything.</summary>
    public bool IsTransient { get; } = isTransient;

    public FailureException(string code, string message) : this(new Failure(code, message))
    {
    }

    public FailureException(string code, string message, params FieldFailure[] fields) : this(new Failure(code, message, fields))
    {
    }
}

/// <summary>Codes that more than one process must know.</summary>
public static class FailureCodes
{
    /// <summary>A unit would hold its message for more than a minute; the ledger cuts it.</summary>
    public const string TooLong = "too_long";

    /// <summary>Rows whose units lose their worker again and again.</summary>
    public const string CrashesModel = "crashes_model";

    /// <summary>The broker delivered a unit's order again, because the worker that had it was lost.</summary>
    public const string WorkerLost = "worker_lost";

    public const string InputChanged = "input_changed";

    /// <summary>Where inputs come from or results go does not answer, or not in time. It says nothing about the rows of a unit.</summary>
    public const string ArtifactsUnavailable = "artifacts_unavailable";
}
