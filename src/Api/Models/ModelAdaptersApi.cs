using Api.Edge;
using Api.Requests;
using Api.Security;
using Contracts;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;
using Microsoft.Net.Http.Headers;
using Sagas.Models;
using Sagas.Persistence;

namespace Api.Models;

static class ModelAdaptersApi
{
    const long FormBytes = 1 << 20;
    const int LongestField = 1024;

    public static void MapModelAdapters(this RouteGroupBuilder models)
    {
        var adapters = models.MapGroup("/{name}/versions/{version}/adapters");

        adapters.MapPost("", RegisterAsync).WithName("RegisterModelAdapter").WithSummary("Register a LoRA adapter of this version, by upload")
            .Produces<ModelAdapterView>(201).Produces<ModelAdapterView>(200)
            .Problems(400, 404, 409, 413, 415, 422, 503).Needs(Role.Operator).AtOwnPace();
        adapters.MapGet("", ListAsync).WithName("ListModelAdapters").WithSummary("The LoRA adapters of this version").Problems(404).Needs(Role.Viewer);
    }

    static async Task<Results<Ok<ModelAdapterList>, ProblemHttpResult>> ListAsync(string name, string version, PlatformDbContext db, CancellationToken cancellationToken)
    {
        if (await db.FindModelAsync(name, version, cancellationToken) is not { } model)
            return NoVersion(name, version);
        var adapters = await db.ModelAdapters.AsNoTracking().Where(a => a.Model == name && a.Version == model.Version).OrderBy(a => a.Name).ToListAsync(cancellationToken);
        return TypedResults.Ok(new ModelAdapterList([.. adapters.Select(ModelAdapterView.Of)]));
    }

    static async Task<Results<Created<ModelAdapterView>, Ok<ModelAdapterView>, ProblemHttpResult>> RegisterAsync(
        HttpContext context, string name, string version, PlatformDbContext db, ModelAdapters adapters, ModelFiles files, IOptions<ApiOptions> options,
        CancellationToken cancellationToken)
    {
        if (await db.FindModelAsync(name, version, cancellationToken) is not { } model)
            return NoVersion(name, version);
        var most = options.Value.MaxAdapterBytes + FormBytes;
        if (context.Request.ContentLength > most)
            throw new FailureException("body_too_large", $"An adapter may have at most {options.Value.MaxAdapterBytes} bytes.");
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } feature)
            feature.MaxRequestBodySize = most;

        using var incoming = files.Open(Tenant.Of(context));
        var errors = new FieldErrors();
        var (adapter, file) = await ReadAsync(context.Request, incoming, errors, cancellationToken);
        if (string.IsNullOrEmpty(adapter))
            errors.Add("name", "field_missing", "Name the adapter.");
        else if (!ModelName.IsName(adapter))
            errors.Add("name", "name_invalid", ModelName.Rule);
        if (file is null)
            errors.Add("file", "field_missing", "The form has no file.");
        errors.ThrowIfAny();

        var (registered, isNew) = await adapters.RegisterAsync(context.Caller(), model, adapter!, file!, "file", cancellationToken);
        var view = ModelAdapterView.Of(registered);
        return isNew ? TypedResults.Created($"{ModelVersionView.PathOf(model)}/adapters", view) : TypedResults.Ok(view);
    }

    static async Task<(string? Name, IncomingAdapter? File)> ReadAsync(HttpRequest request, IncomingFiles incoming, FieldErrors errors, CancellationToken cancellationToken)
    {
        if (!MediaTypeHeaderValue.TryParse(request.ContentType, out var type))
            throw Unsupported();
        if (type.MediaType.Equals("application/octet-stream", StringComparison.OrdinalIgnoreCase))
            return (request.Query["name"], await incoming.TakeAdapterAsync(request.Body, "file", cancellationToken));
        if (!type.MediaType.Equals("multipart/form-data", StringComparison.OrdinalIgnoreCase))
            throw Unsupported();
        var boundary = HeaderUtilities.RemoveQuotes(type.Boundary).Value;
        if (string.IsNullOrEmpty(boundary) || boundary.Length > 200)
            throw Malformed();
        try
        {
            var (name, file) = ((string?)null, (IncomingAdapter?)null);
            var form = new MultipartReader(boundary, request.Body);
            while (await form.ReadNextSectionAsync(cancellationToken) is { } section)
            {
                var part = section.GetContentDispositionHeader();
                var field = HeaderUtilities.RemoveQuotes(part?.Name ?? default).Value ?? "";
                if (part?.IsFileDisposition() == true && file is null)
                    file = await incoming.TakeAdapterAsync(section.Body, "file", cancellationToken);
                else if (part?.IsFileDisposition() == true)
                    throw new FailureException("duplicate_field", "The form has two files.", new FieldFailure(field, "duplicate_field", "Send one file."));
                else if (field == "name")
                    name = await new StreamReader(section.Body).ReadBlockAsync(LongestField, cancellationToken);
                else
                    errors.Add(field, "unknown_field", "There is no such field. Known here: name, file.");
            }

            return (name, file);
        }
        catch (Exception e) when (e is InvalidDataException or IOException and not BadHttpRequestException)
        {
            throw Malformed();
        }
    }

    static FailureException Unsupported() => new("unsupported_media_type", "Send multipart/form-data with name and file, or application/octet-stream with ?name=.");

    static FailureException Malformed() => new("invalid_request", "The form breaks off or is not multipart/form-data.");

    static ProblemHttpResult NoVersion(string name, string version) =>
        Problem.From("model_not_found", $"There is no version {version} of a model {name}. See GET /api/v1/models.");
}

public sealed record ModelAdapterList(IReadOnlyList<ModelAdapterView> Adapters);

/// <param name="Version">sha256 of the base model's version.</param>
/// <param name="Sha256">Of the adapter's file.</param>
public sealed record ModelAdapterView(string Model, string Version, string Name, string Sha256, long Bytes, DateTimeOffset RegisteredAt, string RegisteredBy)
{
    internal static ModelAdapterView Of(ModelAdapter adapter) =>
        new(adapter.Model, adapter.Version, adapter.Name, adapter.Sha256, adapter.Bytes, adapter.RegisteredAt, adapter.RegisteredBy);
}
