using Api.Requests;
using Api.Security.Audit;
using Contracts;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Sagas.Persistence;
using Sagas.Security;

namespace Api.Security.ApiKeys;

static class ApiKeysApi
{
    const int UsualDays = 90;
    const int MostGraceHours = 7 * 24;
    const int LongestName = 100;

    public static RouteGroupBuilder MapApiKeys(this RouteGroupBuilder api)
    {
        var keys = api.MapGroup("/operations/api-keys").WithTags("Keys and audit").Needs(Role.Admin);

        keys.MapPost("", CreateAsync).WithName("CreateApiKey").WithSummary("Make a key; it is shown this once").Produces<NewApiKey>(201).Problems(400, 403);
        keys.MapGet("", ListAsync).WithName("ListApiKeys").WithSummary("Your tenant's keys, newest first");
        keys.MapGet("/{id}", GetAsync).WithName("GetApiKey").WithSummary("One of them").Problems(404);
        keys.MapPost("/{id}/rotate", RotateAsync).WithName("RotateApiKey").WithSummary("Make its successor; it ends after a grace time").Produces<NewApiKey>(201).Problems(400, 404, 409);
        keys.MapPost("/{id}/revoke", RevokeAsync).WithName("RevokeApiKey").WithSummary("End it now").Problems(400, 404);
        return api;
    }

    static async Task<Results<Created<NewApiKey>, ProblemHttpResult>> CreateAsync(
        HttpContext context, JsonBody<CreateApiKeyRequest> body, IServiceScopeFactory scopes, IOptions<ApiKeyOptions> options, IOptions<TenancyOptions> tenancy,
        TimeProvider clock, CancellationToken cancellationToken)
    {
        var (asked, errors, caller) = (body.Value, body.Errors, context.Caller());
        var reason = Reason.Read(asked.Reason, caller, errors);
        Check(asked, options.Value, errors);
        var tenant = asked.Tenant ?? caller.Tenant;
        if (!TenantName.IsValid(tenant))
            errors.Add("tenant", "name_invalid", $"Must be {TenantName.Rule}.");
        errors.ThrowIfAny();
        if (tenant != caller.Tenant && caller.Tenant != tenancy.Value.Home)
            return Problem.From("forbidden", "tenant", "forbidden", "A key is for your own tenant. Leave tenant out.");

        // In a scope of its own: the platform's owner makes the first key of each tenant.
        await using var scope = scopes.CreateAsyncScope();
        scope.ServiceProvider.GetRequiredService<DataScope>().See(tenant);
        var db = scope.ServiceProvider.GetRequiredService<PlatformDbContext>();
        await using var transaction = await db.Database.BeginTransactionAsync(cancellationToken);
        var life = TimeSpan.FromDays(asked.ExpiresInDays ?? Math.Min(UsualDays, options.Value.MaxDays));
        var (row, text) = db.AddApiKey(tenant, asked.Name!, asked.Scopes!, caller.Id, clock.GetUtcNow(), life);
        await db.SaveChangesAsync(cancellationToken);
        await db.AuditAsync(new AuditAction(caller, "api-key.create", row.Id, $"{reason} ({row.Name}: {string.Join(", ", row.Scopes)})"), cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return Created(row, text);
    }

    static async Task<Ok<ApiKeyList>> ListAsync(PlatformDbContext db, CancellationToken cancellationToken) =>
        TypedResults.Ok(new ApiKeyList(await db.ApiKeys.OrderByDescending(k => k.CreatedAt).ThenByDescending(k => k.Id).Views().ToListAsync(cancellationToken)));

    static async Task<Results<Ok<ApiKeyView>, ProblemHttpResult>> GetAsync(string id, PlatformDbContext db, CancellationToken cancellationToken) =>
        await db.ApiKeys.Where(k => k.Id == id).Views().SingleOrDefaultAsync(cancellationToken) is { } key ? TypedResults.Ok(key) : NotFound(id);

    static async Task<Results<Created<NewApiKey>, ProblemHttpResult>> RotateAsync(
        HttpContext context, string id, JsonBody<RotateApiKeyRequest> body, PlatformDbContext db, ApiKeyDirectory directory, IOptions<ApiKeyOptions> options,
        TimeProvider clock, CancellationToken cancellationToken)
    {
        var (asked, errors, caller) = (body.Value, body.Errors, context.Caller());
        var reason = Reason.Read(asked.Reason, caller, errors);
        if (asked.GraceHours is < 0 or > MostGraceHours)
            errors.Add("graceHours", "out_of_range", $"Must be 0 to {MostGraceHours}.");
        errors.ThrowIfAny();

        await using var transaction = await db.Database.BeginTransactionAsync(cancellationToken);
        if (await db.ApiKeys.Where(k => k.Id == id).Views().SingleOrDefaultAsync(cancellationToken) is not { } old)
            return NotFound(id);
        var now = clock.GetUtcNow();
        var life = old.ExpiresAt is { } end ? end - old.CreatedAt : TimeSpan.FromDays(Math.Min(UsualDays, options.Value.MaxDays));
        var (row, text) = db.AddApiKey(caller.Tenant, old.Name, old.Scopes, caller.Id, now, life);
        var graceEnd = now + TimeSpan.FromHours(asked.GraceHours ?? 24);
        // Whoever comes second finds it rotated: two successors of one key would be one too many.
        var ended = await db.ApiKeys.Where(k => k.Id == id && k.RevokedAt == null && k.RotatedTo == null && (k.ExpiresAt == null || k.ExpiresAt > now))
            .ExecuteUpdateAsync(set => set.SetProperty(k => k.RotatedTo, row.Id)
                .SetProperty(k => k.ExpiresAt, k => k.ExpiresAt < graceEnd ? k.ExpiresAt : graceEnd), cancellationToken);
        if (ended == 0)
            return Problem.From("api_key_ended", $"The key {id} is revoked, rotated or past its end. Make a new one.");
        await db.SaveChangesAsync(cancellationToken);
        await db.AuditAsync(new AuditAction(caller, "api-key.rotate", id, $"{reason} (to {row.Id})"), cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        directory.Forget(id);
        return Created(row, text);
    }

    // A second time finds it revoked, and is answered the same.
    static async Task<Results<Ok<ApiKeyView>, ProblemHttpResult>> RevokeAsync(
        HttpContext context, string id, JsonBody<ReasonRequest> body, PlatformDbContext db, ApiKeyDirectory directory, TimeProvider clock, CancellationToken cancellationToken)
    {
        var caller = context.Caller();
        var reason = Reason.Read(body.Value.Reason, caller, body.Errors);
        body.Errors.ThrowIfAny();

        await using var transaction = await db.Database.BeginTransactionAsync(cancellationToken);
        var now = clock.GetUtcNow();
        if (await db.ApiKeys.Where(k => k.Id == id && k.RevokedAt == null).ExecuteUpdateAsync(set => set.SetProperty(k => k.RevokedAt, now), cancellationToken) > 0)
            await db.AuditAsync(new AuditAction(caller, "api-key.revoke", id, reason), cancellationToken);
        var key = await db.ApiKeys.Where(k => k.Id == id).Views().SingleOrDefaultAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        directory.Forget(id);
        return key is null ? NotFound(id) : TypedResults.Ok(key);
    }

    static void Check(CreateApiKeyRequest asked, ApiKeyOptions options, FieldErrors errors)
    {
        if (string.IsNullOrWhiteSpace(asked.Name))
            errors.Add("name", "field_missing", "Name the key after what will use it.");
        else if (asked.Name.Length > LongestName || asked.Name.Any(char.IsControl))
            errors.Add("name", "name_invalid", $"Must be 1 to {LongestName} visible characters.");
        if (asked.Scopes is not { Count: > 0 })
        {
            if (!errors.Has("scopes"))
                errors.Add("scopes", "field_missing", $"Say what it may be used for: {string.Join(", ", ApiKeyScopes.All)}.");
        }
        else if (asked.Scopes.Except(ApiKeyScopes.All).Any())
        {
            errors.Add("scopes", "out_of_range", $"Must be of {string.Join(", ", ApiKeyScopes.All)}.");
        }

        if (asked.ExpiresInDays < 1 || asked.ExpiresInDays > options.MaxDays)
            errors.Add("expiresInDays", "out_of_range", $"Must be 1 to {options.MaxDays}.");
    }

    static Created<NewApiKey> Created(ApiKey row, string text) => TypedResults.Created(
        $"/api/v1/operations/api-keys/{row.Id}", new NewApiKey(row.Id, text, row.Tenant, row.Name, row.Scopes, row.ExpiresAt));

    static ProblemHttpResult NotFound(string id) => Problem.From("api_key_not_found", $"There is no key {id}.");
}

/// <param name="Name">What will use it.</param>
/// <param name="Scopes">Of <c>viewer</c>, <c>operator</c>, <c>admin</c>; each includes those before it.</param>
/// <param name="ExpiresInDays">Default: 90.</param>
/// <param name="Tenant">Default: your own. Another's only for the platform's owner.</param>
/// <param name="Reason">Kept in the audit.</param>
public sealed record CreateApiKeyRequest(
    string? Name = null, IReadOnlyList<string>? Scopes = null, int? ExpiresInDays = null, string? Tenant = null, string? Reason = null);

/// <param name="GraceHours">How long the old key still works, 0 to 168. Default: 24.</param>
/// <param name="Reason">Kept in the audit.</param>
public sealed record RotateApiKeyRequest(int? GraceHours = null, string? Reason = null);

/// <param name="Key">For <c>X-Api-Key</c>. It is not kept, and cannot be shown again.</param>
public sealed record NewApiKey(string Id, string Key, string Tenant, string Name, IReadOnlyList<string> Scopes, DateTimeOffset? ExpiresAt);

/// <param name="LastUsedAt">To the minute.</param>
/// <param name="RotatedTo">Id of its successor.</param>
public sealed record ApiKeyView(
    string Id, string Tenant, string Name, IReadOnlyList<string> Scopes, DateTimeOffset CreatedAt, string CreatedBy, DateTimeOffset? ExpiresAt,
    DateTimeOffset? RevokedAt, DateTimeOffset? LastUsedAt, string? RotatedTo);

public sealed record ApiKeyList(IReadOnlyList<ApiKeyView> Keys);
