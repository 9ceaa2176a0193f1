using Api.Requests;
using Contracts;

namespace Api.Security;

/// <summary>Why somebody steps in. On a laptop nobody has to say.</summary>
static class Reason
{
    public const int Longest = 1000;

    /// <returns>The reason given, or <paramref name="otherwise"/>.</returns>
    public static string Read(string? given, Caller caller, FieldErrors errors, string otherwise = "requested")
    {
        if (given?.Length > Longest)
            errors.Add("reason", "out_of_range", $"Must be at most {Longest} characters.");
        if (!string.IsNullOrWhiteSpace(given))
            return Redaction.Text(given);
        if (caller != LocalHandler.Anybody && !errors.Has("reason"))
            errors.Add("reason", "field_missing", "Say why: it is kept in the audit.");
        return otherwise;
    }
}

/// <param name="Reason">Kept in the audit. Required of everybody but the only user of a laptop.</param>
public sealed record ReasonRequest(string? Reason = null);
