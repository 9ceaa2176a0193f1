using Api.Requests;
using Api.Security;
using Contracts;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using Microsoft.EntityFrameworkCore;
using Sagas.Models;
using Sagas.Persistence;

namespace Api.Models;

static class ModelAliasesApi
{
    const int MostListed = 200;

    public static void MapModelAliases(this RouteGroupBuilder models)
    {
        var aliases = models.MapGroup("/{name}/aliases");

        aliases.MapGet("", ListAsync).WithName("ListModelAliases").WithSummary("What a model's versions are called").Problems(404).Needs(Role.Viewer);
        aliases.MapGet("/{alias}", GetAsync).WithName("GetModelAlias").WithSummary("Which version has this name, and since when").Problems(404).Needs(Role.Viewer);
        aliases.MapPut("/{alias}", MoveAsync).WithName("MoveModelAlias").WithSummary("Give a version this name; it has it alone").Problems(400, 404, 409, 422).Needs(Role.Operator);
        aliases.MapDelete("/{alias}", RemoveAsync).WithName("RemoveModelAlias").WithSummary("No version has this name any more").Problems(400, 404, 409).Needs(Role.Operator);
        aliases.MapGet("/{alias}/history", HistoryAsync).WithName("ListModelAliasMoves").WithSummary("Who moved it, when and why; newest first").Problems(400, 404).Needs(Role.Viewer);
    }

    static async Task<Results<Ok<ModelAliasList>, ProblemHttpResult>> ListAsync(string name, PlatformDbContext db, CancellationToken cancellationToken)
    {
        if (await db.FindModelAsync(name, null, cancellationToken) is not { } latest)
            return NoModel(name);
        var aliases = await db.ModelAliases.AsNoTracking().Where(a => a.Model == name).OrderBy(a => a.Alias).ToListAsync(cancellationToken);
        return TypedResults.Ok(new ModelAliasList(latest.Version, [.. aliases.Select(ModelAliasView.Of)]));
    }

    static async Task<Results<Ok<ModelAliasView>, ProblemHttpResult>> GetAsync(string name, string alias, PlatformDbContext db, CancellationToken cancellationToken) =>
        await db.ModelAliases.AsNoTracking().SingleOrDefaultAsync(a => a.Model == name && a.Alias == alias, cancellationToken) is { } found
            ? TypedResults.Ok(ModelAliasView.Of(found))
            : NoAlias(name, alias);

    static async Task<Results<Ok<ModelAliasView>, ProblemHttpResult>> MoveAsync(
        HttpContext context, string name, string alias, JsonBody<MoveAliasRequest> body, ModelAliases aliases, PlatformDbContext db, CancellationToken cancellationToken)
    {
        if (await db.FindModelAsync(name, null, cancellationToken) is null)
            return NoModel(name);
        var (request, errors) = (body.Value, body.Errors);
        if (!ModelName.IsAlias(alias))
            errors.Add("alias", ModelName.IsReserved(alias) ? "name_reserved" : "name_invalid", ModelName.IsReserved(alias) ? "latest is computed, and a sha256 is a version." : ModelName.Rule);
        var order = Read(context.Caller(), name, alias, request.Expected, request.Reason, errors);
        RegisteredModel? target = null;
        if (string.IsNullOrEmpty(request.Version))
        {
            if (!errors.Has("version"))
                errors.Add("version", "field_missing", "Say which version: its sha256, another alias or latest.");
        }
        else if ((target = await db.FindModelAsync(name, request.Version, cancellationToken)) is null)
        {
            errors.Add("version", "model_version_unknown", $"{name} has no version {request.Version}. See GET /api/v1/models/{name}.");
        }

        errors.ThrowIfAny();
        return TypedResults.Ok(ModelAliasView.Of(await aliases.MoveAsync(order, target!, cancellationToken)));
    }

    static async Task<Results<NoContent, ProblemHttpResult>> RemoveAsync(
        HttpContext context, string name, string alias, JsonBody<RemoveAliasRequest> body, ModelAliases aliases, PlatformDbContext db, CancellationToken cancellationToken)
    {
        if (await db.FindModelAsync(name, null, cancellationToken) is null)
            return NoModel(name);
        var order = Read(context.Caller(), name, alias, body.Value.Expected, body.Value.Reason, body.Errors);
        body.Errors.ThrowIfAny();
        return await aliases.RemoveAsync(order, cancellationToken) ? TypedResults.NoContent() : NoAlias(name, alias);
    }

    static async Task<Results<Ok<ModelAliasHistory>, ProblemHttpResult>> HistoryAsync(
        string name, string alias, PlatformDbContext db, CancellationToken cancellationToken, int limit = 50, long? before = null)
    {
        if (limit is < 1 or > MostListed)
            return Problem.From("invalid_request", "limit", "out_of_range", $"Must be 1 to {MostListed}.");
        var page = await db.ModelAliasMoves.AsNoTracking()
            .Where(m => m.Model == name && m.Alias == alias && (before == null || m.Seq < before))
            .OrderByDescending(m => m.Seq).Take(limit + 1).ToListAsync(cancellationToken);
        // An alias that is gone still has a history; one that never was has none.
        if (page.Count == 0 && before is null)
            return NoAlias(name, alias);
        return TypedResults.Ok(new ModelAliasHistory([.. page.Take(limit).Select(ModelAliasMoveView.Of)], page.Count > limit ? page[limit - 1].Seq : null));
    }

    static ModelAliases.Order Read(Caller caller, string name, string alias, string? expected, string? reason, FieldErrors errors)
    {
        if (expected is not null && expected != ModelAliases.Nowhere && !ModelName.IsSha256(expected))
            errors.Add("expected", "invalid_text", $"Must be the sha256 of a version, or {ModelAliases.Nowhere}.");
        return new(caller, name, alias, expected?.ToLowerInvariant(), Reason.Read(reason, caller, errors));
    }

    static ProblemHttpResult NoModel(string name) => Problem.From("model_not_found", $"There is no model {name}. See GET /api/v1/models.");

    static ProblemHttpResult NoAlias(string name, string alias) => Problem.From("alias_not_found", $"{name} has no alias {alias}. See GET /api/v1/models/{name}/aliases.");
}

/// <param name="Version">sha256, another alias or <c>latest</c>.</param>
/// <param name="Expected">sha256 of the version that the alias must be at until now, or <c>none</c> when it must be new; otherwise 409. Without it, wherever it is.</param>
/// <param name="Reason">Kept in history and audit. Required of everybody but the only user of a laptop.</param>
public sealed record MoveAliasRequest(string? Version = null, string? Expected = null, string? Reason = null);

/// <inheritdoc cref="MoveAliasRequest"/>
public sealed record RemoveAliasRequest(string? Expected = null, string? Reason = null);

/// <param name="Latest">sha256 of the version registered last: what <c>latest</c> means.</param>
public sealed record ModelAliasList(string Latest, IReadOnlyList<ModelAliasView> Aliases);

public sealed record ModelAliasView(string Model, string Alias, string Version, DateTimeOffset MovedAt, string MovedBy)
{
    internal static ModelAliasView Of(ModelAlias alias) => new(alias.Model, alias.Alias, alias.Version, alias.MovedAt, alias.MovedBy);

    internal static string PathOf(string model, string alias) => $"/api/v1/models/{model}/aliases/{alias}";
}

/// <param name="From">Absent where the alias was not there before.</param>
/// <param name="To">Absent where it was removed.</param>
public sealed record ModelAliasMoveView(long Seq, string? From, string? To, DateTimeOffset At, string Actor, string? ActorName, string Reason)
{
    internal static ModelAliasMoveView Of(ModelAliasMove move) => new(move.Seq, move.FromVersion, move.ToVersion, move.At, move.Actor, move.ActorName, move.Reason);
}

/// <param name="Next">What to pass as <c>before</c> for the following page; absent on the last.</param>
public sealed record ModelAliasHistory(IReadOnlyList<ModelAliasMoveView> Moves, long? Next);
