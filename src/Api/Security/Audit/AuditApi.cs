using Api.Requests;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using Microsoft.EntityFrameworkCore;
using Sagas.Persistence;
using Sagas.Security;

namespace Api.Security.Audit;

static class AuditApi
{
    const int MostListed = 200;
    const int HashLength = 64;

    public static RouteGroupBuilder MapAudit(this RouteGroupBuilder api)
    {
        var audit = api.MapGroup("/operations/audit").WithTags("Keys and audit").Needs(Role.Admin);

        audit.MapGet("", ListAsync).WithName("ListAudit").WithSummary("Who did what, and why; newest first").Problems(400);
        audit.MapPost("/verify", VerifyAsync).WithName("VerifyAudit").WithSummary("Whether every row is as it was written, or the first that is not").Problems(400);
        return api;
    }

    static async Task<Results<Ok<AuditList>, ProblemHttpResult>> ListAsync(
        PlatformDbContext db, CancellationToken cancellationToken,
        string? action = null, string? actor = null, string? subject = null, int limit = 50, long? before = null)
    {
        if (limit is < 1 or > MostListed)
            return Problem.From("invalid_request", "limit", "out_of_range", $"Must be 1 to {MostListed}.");
        if (new[] { action, actor, subject }.Any(text => text?.Contains('\0') == true))
            return Problem.From("invalid_request", "A filter must not hold a NUL character.");
        var page = await db.AuditEntries.AsNoTracking()
            .Where(e => (action == null || e.Action == action) && (actor == null || e.Actor == actor) && (subject == null || e.Subject == subject)
                && (before == null || e.Seq < before))
            .OrderByDescending(e => e.Seq).Take(limit + 1).ToListAsync(cancellationToken);
        return TypedResults.Ok(new AuditList([.. page.Take(limit).Select(AuditEntryView.Of)], page.Count > limit ? page[limit - 1].Seq : null));
    }

    static async Task<Ok<AuditVerdict>> VerifyAsync(HttpContext context, JsonBody<AuditPlaceRequest> body, PlatformDbContext db, CancellationToken cancellationToken)
    {
        var (asked, errors) = (body.Value, body.Errors);
        if (asked.Seq is null != asked.Hash is null)
            errors.Add(asked.Seq is null ? "seq" : "hash", "field_missing", "Give both, as an earlier answer gave them, or neither.");
        if (asked.Seq < 1)
            errors.Add("seq", "out_of_range", "Must be 1 or more.");
        if (asked.Hash is { } hash && (hash.Length != HashLength || !hash.All(char.IsAsciiHexDigit)))
            errors.Add("hash", "invalid_text", $"Must be {HashLength} hexadecimal digits.");
        errors.ThrowIfAny();

        var known = asked.Seq is { } seq ? new AuditPlace(seq, asked.Hash!) : null;
        var (entries, head, first) = await AuditChain.VerifyAsync(db, context.Caller().Tenant, known, cancellationToken);
        return TypedResults.Ok(new AuditVerdict(first is null, entries, new AuditPlace(head.Seq, Convert.ToHexStringLower(head.Hash)), first));
    }
}

/// <param name="Seq">A row that you know, such as the head of an earlier answer.</param>
/// <param name="Hash">What its hash was: tells when the whole audit up to it was written anew.</param>
public sealed record AuditPlaceRequest(long? Seq = null, string? Hash = null);

public sealed record AuditPlace(long Seq, string Hash);

/// <param name="Entries">Rows looked at.</param>
/// <param name="Head">The last row as the platform knows it. Keep it elsewhere and give it next time.</param>
/// <param name="FirstAltered">The first row that is wrong; absent when none is.</param>
public sealed record AuditVerdict(bool Ok, long Entries, AuditPlace Head, AuditFinding? FirstAltered);

public sealed record AuditEntryView(
    long Seq, DateTimeOffset At, string Actor, string? ActorName, string Action, string Subject, string? Reason, string? Trace, string Hash)
{
    internal static AuditEntryView Of(AuditEntry entry) => new(
        entry.Seq, entry.At, entry.Actor, entry.ActorName, entry.Action, entry.Subject, entry.Reason, entry.Trace, Convert.ToHexStringLower(entry.Hash));
}

/// <param name="Next">What to pass as <c>before</c> for the following page; absent on the last.</param>
public sealed record AuditList(IReadOnlyList<AuditEntryView> Entries, long? Next);
