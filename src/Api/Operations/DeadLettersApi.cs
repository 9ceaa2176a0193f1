using Api.Requests;
using Api.Security;
using Api.Security.Audit;
using Messaging.Postgres.DeadLetters;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using Sagas.Persistence;

namespace Api.Operations;

static class DeadLettersApi
{
    const int MostListed = 100;
    const int ListedBody = 4 * 1024;
    const int WholeBody = 256 * 1024;

    public static RouteGroupBuilder MapDeadLetters(this RouteGroupBuilder api)
    {
        var letters = api.MapGroup("/operations/dead-letters").WithTags("Operations").OfHomeOnly().Needs(Role.Operator);

        letters.MapGet("", ListAsync).WithName("ListDeadLetters").WithSummary("Messages that were given up, newest first").Problems(400);
        letters.MapGet("/{id:guid}", GetAsync).WithName("GetDeadLetter").WithSummary("One of them, with more of its body").Problems(404);
        letters.MapPost("/{id:guid}/requeue", RequeueAsync).WithName("RequeueDeadLetter").WithSummary("Send it again to where it was on its way").Accepted<RequeuedLetter>(400, 404);
        return api;
    }

    static async Task<Results<Ok<DeadLetterList>, ProblemHttpResult>> ListAsync(
        DeadLetterBox box, CancellationToken cancellationToken, string? queue = null, string? reason = null, int limit = 50, string? after = null)
    {
        if (reason is not (null or "error" or "skipped" or "refused" or "unsendable"))
            return Problem.From("invalid_request", "reason", "out_of_range", "Must be one of error, skipped, refused, unsendable.");
        if (queue?.Contains('\0') == true)
            return Problem.From("invalid_request", "queue", "invalid_text", "Must be the name of a queue.");
        if (limit is < 1 or > MostListed)
            return Problem.From("invalid_request", "limit", "out_of_range", $"Must be 1 to {MostListed}.");
        var place = after is null ? null : ListPlace.Read(after);
        if (after is not null && place is null)
            return Problem.From("invalid_request", "after", "invalid_text", "Must be what an earlier answer gave as next.");

        var page = await box.ListAsync(queue, reason, place is null ? null : (place.At.UtcDateTime, place.Id), limit + 1, ListedBody, cancellationToken);
        var next = page.Count > limit ? new ListPlace(page[limit - 1].DiedAt, page[limit - 1].Id).Write() : null;
        return TypedResults.Ok(new DeadLetterList([.. page.Take(limit).Select(DeadLetterView.Of)], next));
    }

    static async Task<Results<Ok<DeadLetterView>, ProblemHttpResult>> GetAsync(Guid id, DeadLetterBox box, CancellationToken cancellationToken) =>
        await box.FindAsync(id, WholeBody, cancellationToken) is { } letter ? TypedResults.Ok(DeadLetterView.Of(letter)) : NotFound(id);

    // A second time finds nothing to send, so it needs no key to be harmless.
    static async Task<Results<Accepted<RequeuedLetter>, ProblemHttpResult>> RequeueAsync(
        HttpContext context, Guid id, JsonBody<ReasonRequest> body, DeadLetterBox box, PlatformDbContext db, CancellationToken cancellationToken)
    {
        var caller = context.Caller();
        var reason = Reason.Read(body.Value.Reason, caller, body.Errors);
        body.Errors.ThrowIfAny();
        if (await box.FindAsync(id, 0, cancellationToken) is null)
            return NotFound(id);
        // First the audit: it may say more than was done, never less.
        await using (var transaction = await db.Database.BeginTransactionAsync(cancellationToken))
        {
            await db.AuditAsync(new AuditAction(caller, "dead-letter.requeue", id.ToString(), reason), cancellationToken);
            await transaction.CommitAsync(cancellationToken);
        }

        return await box.RequeueAsync(id, cancellationToken) is { } requeued ? TypedResults.Accepted((string?)null, requeued) : NotFound(id);
    }

    static ProblemHttpResult NotFound(Guid id) => Problem.From("dead_letter_not_found", $"There is no dead letter {id}; it may have been requeued.");
}

/// <param name="Next">What to pass as <c>after</c> for the following page; absent on the last.</param>
public sealed record DeadLetterList(IReadOnlyList<DeadLetterView> DeadLetters, string? Next);
