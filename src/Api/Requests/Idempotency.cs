using Contracts;
using Microsoft.AspNetCore.Http;
using Microsoft.EntityFrameworkCore;
using Sagas.Persistence;

namespace Api.Requests;

/// <summary>What makes two requests the same: whose, what for, the key they carry, and the body they must then share.</summary>
public sealed record RequestKey(string Tenant, string Route, string Key, string BodySha256)
{
    /// <returns>Null when the request carries no Idempotency-Key.</returns>
    public static RequestKey? Of(HttpContext context, string route, string bodySha256)
    {
        var header = context.Request.Headers["Idempotency-Key"];
        if (header.Count == 0)
            return null;
        var key = header.Count == 1 ? header[0]!.Trim() : "";
        if (key.Length is 0 or > 200 || key.Any(c => c is < '!' or > '~'))
            throw new FailureException("idempotency_key_invalid", "Idempotency-Key must be one value of 1 to 200 visible ASCII characters.");
        return new RequestKey(Api.Tenant.Of(context), route, key, bodySha256);
    }
}

/// <summary>
/// The same request is answered once: the answer is kept in the transaction that did what was asked, for 24 hours. Twins that come
/// at the same time wait for each other at the insert.
/// </summary>
public sealed class Idempotency(PlatformDbContext db, TimeProvider clock)
{
    public static readonly TimeSpan Kept = TimeSpan.FromHours(24);

    /// <returns>The first answer, if there was one.</returns>
    public async Task<Answer?> FindAsync(RequestKey? key, CancellationToken cancellationToken)
    {
        if (key is null)
            return null;
        var oldest = clock.GetUtcNow() - Kept;
        var first = await db.IdempotentRequests.AsNoTracking().SingleOrDefaultAsync(
            r => r.Tenant == key.Tenant && r.Route == key.Route && r.Key == key.Key && r.CreatedAt >= oldest, cancellationToken);
        if (first is null)
            return null;
        return first.BodySha256 == key.BodySha256
            ? new Answer(first.StatusCode, first.Response, first.Location, IsRepeated: true)
            : throw new FailureException("idempotency_key_reused", "This Idempotency-Key came with another body before. Use a new key for a new request.");
    }

    /// <summary>Saves what <paramref name="write"/> adds to the context, in one transaction with the answer, or gives the answer of the twin that came first.</summary>
    public async Task<Answer> SaveAsync(RequestKey? key, Answer answer, Func<Task> write, CancellationToken cancellationToken)
    {
        await using var transaction = await db.Database.BeginTransactionAsync(cancellationToken);
        if (key is not null)
        {
            if (await ClaimAsync(key, answer, cancellationToken) is not { } kept)
            {
                await transaction.RollbackAsync(cancellationToken);
                return await FindAsync(key, cancellationToken) ?? throw new FailureException("idempotency_key_reused", "This Idempotency-Key is just expiring. Use a new one.");
            }

            answer = answer with { Json = kept };
        }

        await write();
        await db.SaveChangesAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return answer;
    }

    // The text as PostgreSQL keeps it is what the first caller gets too: a repeated answer is the same to the byte.
    async Task<string?> ClaimAsync(RequestKey key, Answer answer, CancellationToken cancellationToken)
    {
        var now = clock.GetUtcNow();
        var kept = await db.Database.SqlQuery<string>(
            $"""
            INSERT INTO sagas.idempotent_requests AS r (tenant, route, key, body_sha256, status_code, response, location, created_at)
            VALUES ({key.Tenant}, {key.Route}, {key.Key}, {key.BodySha256}, {answer.StatusCode}, {answer.Json}::jsonb, {answer.Location}, {now})
            ON CONFLICT (tenant, route, key) DO UPDATE SET body_sha256 = excluded.body_sha256, status_code = excluded.status_code,
                response = excluded.response, location = excluded.location, created_at = excluded.created_at
            WHERE r.created_at < {now - Kept}
            RETURNING response::text AS "Value"
            """).ToListAsync(cancellationToken);
        return kept.SingleOrDefault();
    }
}
