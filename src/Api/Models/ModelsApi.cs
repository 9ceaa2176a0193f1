using System.Security.Cryptography;
using System.Text;
using Api.Edge;
using Api.Requests;
using Api.Security;
using Artifacts;
using Contracts;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;
using Sagas.Models;
using Sagas.Persistence;

namespace Api.Models;

static class ModelsApi
{
    /// <summary>What a form has around its file.</summary>
    const long FormBytes = 1 << 20;

    public static RouteGroupBuilder MapModels(this RouteGroupBuilder api)
    {
        var models = api.MapGroup("/models").WithTags("Models");

        models.MapPost("", RegisterAsync).WithName("RegisterModel").WithSummary("Register an ONNX file, by URI or upload")
            .Accepts<RegisterModelRequest>("application/json", "multipart/form-data", "application/octet-stream")
            .Produces<ModelVersionView>(201).Produces<ModelVersionView>(200).Problems(400, 409, 413, 415, 422, 503).TakesIdempotencyKey().Needs(Role.Operator).AtOwnPace();
        models.MapGet("", ListAsync).WithName("ListModels").WithSummary("All models, by name").Needs(Role.Viewer);
        models.MapGet("/{name}", GetAsync).WithName("GetModel").WithSummary("A model's latest version, and which others there are").Problems(404).Needs(Role.Viewer);
        models.MapGet("/{name}/versions/{version}", GetVersionAsync).WithName("GetModelVersion").WithSummary("One version: inputs, outputs, speed").Problems(404).Needs(Role.Viewer);
        return api;
    }

    static async Task<Answer> RegisterAsync(
        HttpContext context, ModelRegistration registration, ModelFiles files, ArtifactStore store, IOptions<ApiOptions> options, CancellationToken cancellationToken)
    {
        Allow(context, options.Value.MaxModelBytes + FormBytes);
        using var upload = await ModelUpload.ReadAsync(context, Tenant.Of(context), files, store, cancellationToken);
        var asked = SHA256.HashData(Encoding.UTF8.GetBytes($"{upload.Name}\n{upload.File!.Sha256}\n{upload.Description}"));
        var key = RequestKey.Of(context, "models", Convert.ToHexStringLower(asked));
        return await registration.RegisterAsync(context.Caller(), upload.Name!, upload.Description, upload.File, key, cancellationToken);
    }

    // Before a byte of it is read; the server holds whoever sends more to it.
    static void Allow(HttpContext context, long bytes)
    {
        if (context.Request.ContentLength > bytes)
            throw new FailureException("body_too_large", $"A model may have at most {bytes - FormBytes} bytes.");
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } feature)
            feature.MaxRequestBodySize = bytes;
    }

    internal static async Task<Ok<ModelList>> ListAsync(PlatformDbContext db, CancellationToken cancellationToken)
    {
        var versions = await db.Models.AsNoTracking().ToListAsync(cancellationToken);
        return TypedResults.Ok(new ModelList([.. versions.GroupBy(m => m.Name).OrderBy(g => g.Key, StringComparer.Ordinal).Select(ModelSummary.Of)]));
    }

    internal static async Task<Results<Ok<ModelView>, ProblemHttpResult>> GetAsync(
        string name, PlatformDbContext db, CancellationToken cancellationToken)
    {
        var versions = await db.Models.AsNoTracking().Where(m => m.Name == name)
            .OrderByDescending(m => m.RegisteredAt).ThenBy(m => m.Version).ToListAsync(cancellationToken);
        return versions is [var latest, ..]
            ? TypedResults.Ok(new ModelView(name, ModelVersionView.Of(latest), [.. versions.Select(v => v.Version)]))
            : Problem.From("model_not_found", $"There is no model {name}. See GET /api/v1/models.");
    }

    static async Task<Results<Ok<ModelVersionView>, ProblemHttpResult>> GetVersionAsync(
        string name, string version, PlatformDbContext db, CancellationToken cancellationToken) =>
        await db.FindModelAsync(name, version, cancellationToken) is { } model
            ? TypedResults.Ok(ModelVersionView.Of(model))
            : Problem.From("model_not_found", $"There is no version {version} of a model {name}. See GET /api/v1/models.");
}

/// <param name="Name">1 to 100 letters, digits, dots, dashes or underscores.</param>
/// <param name="Uri">The ONNX file, as <c>file://</c> within the allowed roots. It is copied.</param>
/// <param name="Description">Without it, the file's own metadata tell.</param>
public sealed record RegisterModelRequest(string? Name = null, string? Uri = null, string? Description = null);

public sealed record ModelList(IReadOnlyList<ModelSummary> Models);

public sealed record ModelSummary(string Name, string? Description, string LatestVersion, int Versions, double RowsPerSecond, DateTimeOffset RegisteredAt)
{
    internal static ModelSummary Of(IEnumerable<RegisteredModel> versions)
    {
        var all = versions.OrderByDescending(m => m.RegisteredAt).ThenBy(m => m.Version).ToList();
        var latest = all[0];
        return new ModelSummary(latest.Name, latest.Description, latest.Version, all.Count, Math.Round(latest.RowsPerSecond, 1), latest.RegisteredAt);
    }
}

/// <param name="Versions">sha256 of each, newest first.</param>
public sealed record ModelView(string Name, ModelVersionView Latest, IReadOnlyList<string> Versions);

/// <param name="Version">sha256 of the file.</param>
/// <param name="RowsPerSecond">Of one worker slot, as last measured.</param>
public sealed record ModelVersionView(
    string Name, string Version, string? Description, long Bytes, double RowsPerSecond, DateTimeOffset RegisteredAt, ModelSignature Signature)
{
    internal static ModelVersionView Of(RegisteredModel model) =>
        new(model.Name, model.Version, model.Description, model.Bytes, Math.Round(model.RowsPerSecond, 1), model.RegisteredAt, model.ReadSignature());

    internal static string PathOf(RegisteredModel model) => $"/api/v1/models/{model.Name}/versions/{model.Version}";
}
