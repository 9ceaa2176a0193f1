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
using Microsoft.Net.Http.Headers;
using Sagas.Models;
using Sagas.Persistence;

namespace Api.Models;

static class ModelsApi
{
    const string Bytes = "application/octet-stream";

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
        models.MapGet("/{name}/versions/{version}", GetVersionAsync).WithName("GetModelVersion").WithSummary("One version: inputs, outputs, speed, labels, card").Problems(404).Needs(Role.Viewer);
        models.MapPatch("/{name}/versions/{version}", DescribeAsync).WithName("DescribeModelVersion").WithSummary("Change a version's description, labels or card").Problems(400, 404).Needs(Role.Operator);
        models.MapGet("/{name}/versions/{version}/signature", GetSignatureAsync).WithName("GetModelSignature").WithSummary("What a version takes and gives").Problems(404).Needs(Role.Viewer);
        models.MapGet("/{name}/versions/{version}/download", DownloadAsync).WithName("DownloadModelVersion").WithSummary("A version's file, whole or in ranges")
            .Produces(200, contentType: "application/octet-stream").Produces(206, contentType: "application/octet-stream").Produces(304).Produces(416).Problems(404, 409, 503).Needs(Role.Viewer).AtOwnPace();
        models.MapModelAliases();
        models.MapModelAdapters();
        return api;
    }

    static async Task<Answer> RegisterAsync(
        HttpContext context, ModelRegistration registration, ModelFiles files, ArtifactStore store, IOptions<ApiOptions> options, CancellationToken cancellationToken)
    {
        Allow(context, options.Value);
        using var upload = await ModelUpload.ReadAsync(context, Tenant.Of(context), files, store, cancellationToken);
        var asked = SHA256.HashData(Encoding.UTF8.GetBytes($"{upload.Name}\n{upload.File!.Version}\n{upload.Description}"));
        var key = RequestKey.Of(context, "models", Convert.ToHexStringLower(asked));
        return await registration.RegisterAsync(context.Caller(), upload.Name!, upload.Description, upload.File, key, cancellationToken);
    }

    // Before a byte of it is read; the server holds whoever sends more to it.
    static void Allow(HttpContext context, ApiOptions options)
    {
        var most = options.MaxModelBytes + (context.Request.HasFormContentType ? options.MaxModelDataBytes : 0);
        if (context.Request.ContentLength > most + FormBytes)
            throw new FailureException("body_too_large", $"A model may have at most {most} bytes.");
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } feature)
            feature.MaxRequestBodySize = most + FormBytes;
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
        if (versions is not [var latest, ..])
            return Problem.From("model_not_found", $"There is no model {name}. See GET /api/v1/models.");
        var aliases = await db.ModelAliases.AsNoTracking().Where(a => a.Model == name).ToDictionaryAsync(a => a.Alias, a => a.Version, cancellationToken);
        return TypedResults.Ok(new ModelView(name, ModelVersionView.Of(latest), [.. versions.Select(v => v.Version)], aliases));
    }

    static async Task<Results<Ok<ModelVersionView>, ProblemHttpResult>> GetVersionAsync(
        string name, string version, PlatformDbContext db, CancellationToken cancellationToken) =>
        await db.FindModelAsync(name, version, cancellationToken) is { } model
            ? TypedResults.Ok(ModelVersionView.Of(model))
            : NoVersion(name, version);

    static async Task<Results<Ok<ModelSignature>, ProblemHttpResult>> GetSignatureAsync(
        string name, string version, PlatformDbContext db, CancellationToken cancellationToken) =>
        await db.FindModelAsync(name, version, cancellationToken) is { } model ? TypedResults.Ok(model.ReadSignature()) : NoVersion(name, version);

    static async Task<Results<Ok<ModelVersionView>, ProblemHttpResult>> DescribeAsync(
        HttpContext context, string name, string version, JsonBody<DescribeModelRequest> body, ModelDescriptions descriptions, PlatformDbContext db,
        CancellationToken cancellationToken)
    {
        if (await db.FindModelAsync(name, version, cancellationToken) is not { } model)
            return NoVersion(name, version);
        ModelDescriptions.Check(body.Value, body.Errors);
        var reason = string.IsNullOrWhiteSpace(body.Value.Reason) ? null : Reason.Read(body.Value.Reason, context.Caller(), body.Errors);
        body.Errors.ThrowIfAny();
        return TypedResults.Ok(ModelVersionView.Of(await descriptions.ChangeAsync(context.Caller(), name, model.Version, body.Value, reason, cancellationToken)));
    }

    /// <param name="file">Which of several, by its name; without it the .onnx file.</param>
    // A file is named by what is in it, and never changes: a range of it may be asked for at any time later.
    static async Task<Results<PhysicalFileHttpResult, FileStreamHttpResult, ProblemHttpResult>> DownloadAsync(
        HttpContext context, string name, string version, PlatformDbContext db, ArtifactStore store, CancellationToken cancellationToken, string? file = null)
    {
        if (await db.FindModelAsync(name, version, cancellationToken) is not { } model)
            return NoVersion(name, version);
        var asked = file ?? ModelFile.Model;
        var files = model.ReadFiles() ?? [new ModelFile(ModelFile.Model, model.Version, model.Bytes)];
        if (files.FirstOrDefault(f => f.Name == asked) is not { } found)
            return Problem.From("model_not_found", "file", "model_not_found", $"{name}@{model.Version} has no file {asked}.");
        var uri = ArtifactStore.ModelFileUri(model.Uri, asked);
        var own = store.For(Tenant.Of(context));
        var (given, tag) = (asked == ModelFile.Model ? $"{name}.onnx" : asked, new EntityTagHeaderValue($"\"{found.Sha256}\""));
        if (!RemoteUri.Is(uri))
        {
            var path = own.LocalPath(uri, ArtifactAccess.Model, "model");
            return File.Exists(path) ? TypedResults.PhysicalFile(path, Bytes, given, model.RegisteredAt, tag, enableRangeProcessing: true) : Gone(model);
        }
        if (await own.TryOpenReadAsync(uri, ArtifactAccess.Model, "model", cancellationToken) is not { } content)
            return Gone(model);
        // Not read here as a whole, it is known by its length alone.
        return content.Length == found.Bytes
            ? TypedResults.Stream(content, Bytes, given, model.RegisteredAt, tag, enableRangeProcessing: true)
            : throw new FailureException("artifact_differs", $"A file of {name}@{model.Version} is not the one that was registered. Have the operator look at it.");
    }

    static ProblemHttpResult Gone(RegisteredModel model) =>
        Problem.From("model_not_found", $"A file of {model.Name}@{model.Version} is gone from where models are kept; register it again.");

    static ProblemHttpResult NoVersion(string name, string version) =>
        Problem.From("model_not_found", $"There is no version {version} of a model {name}. See GET /api/v1/models.");
}

/// <param name="Name">1 to 100 letters, digits, dots, dashes or underscores.</param>
/// <param name="Uri">The ONNX file, within the places allowed for inputs: <c>file://</c>, <c>az://</c> or <c>https://</c>. It is copied.</param>
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

/// <param name="Description">Empty: none.</param>
/// <param name="Labels">Those named are set, or taken away where the value is null; the others stay. At most 64, values of at most 256 characters.</param>
/// <param name="Card">Markdown, at most 64 KiB. Empty: none.</param>
/// <param name="Reason">Kept in the audit.</param>
public sealed record DescribeModelRequest(
    string? Description = null, IReadOnlyDictionary<string, string?>? Labels = null, string? Card = null, string? Reason = null);

/// <param name="Versions">sha256 of each, newest first.</param>
/// <param name="Aliases">Which version each alias names.</param>
public sealed record ModelView(string Name, ModelVersionView Latest, IReadOnlyList<string> Versions, IReadOnlyDictionary<string, string> Aliases);

/// <param name="Version">sha256 of the file, or of the list of its files.</param>
/// <param name="Bytes">Of all its files.</param>
/// <param name="RowsPerSecond">Of one worker slot, as last measured; 0 for a model that takes no rows.</param>
/// <param name="PeakLoadBytes">Most memory that opening it took.</param>
/// <param name="PeakBatchBytes">Most memory while 256 rows were scored, the opened model included.</param>
/// <param name="Files">Every file of it; absent where the .onnx file is all.</param>
public sealed record ModelVersionView(
    string Name, string Version, string? Description, long Bytes, double RowsPerSecond, DateTimeOffset RegisteredAt, ModelSignature Signature,
    IReadOnlyDictionary<string, string> Labels, string? Card, long PeakLoadBytes, long PeakBatchBytes, IReadOnlyList<ModelFile>? Files)
{
    internal static ModelVersionView Of(RegisteredModel model) => new(
        model.Name, model.Version, model.Description, model.Bytes, Math.Round(model.RowsPerSecond, 1), model.RegisteredAt, model.ReadSignature(),
        model.ReadLabels(), model.Card, model.PeakLoadBytes, model.PeakBatchBytes, model.ReadFiles());

    internal static string PathOf(RegisteredModel model) => $"/api/v1/models/{model.Name}/versions/{model.Version}";
}
