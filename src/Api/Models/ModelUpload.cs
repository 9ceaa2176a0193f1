using Api.Requests;
using Artifacts;
using Contracts;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Net.Http.Headers;

namespace Api.Models;

/// <summary>What a request to register a model brought: in JSON with a URI, as a form with its files, or the bare file.</summary>
sealed record ModelUpload(string? Name, string? Description, IncomingModel? File, FieldErrors Errors) : IDisposable
{
    const int LongestField = 16 * 1024;
    const string Model = "file";

    public void Dispose() => File?.Dispose();

    /// <summary>Nothing of it stays when it is refused.</summary>
    public static async Task<ModelUpload> ReadAsync(HttpContext context, string tenant, ModelFiles files, ArtifactStore store, CancellationToken cancellationToken)
    {
        var request = context.Request;
        return MediaTypeHeaderValue.TryParse(request.ContentType, out var type) switch
        {
            true when type.MediaType.Equals("multipart/form-data", StringComparison.OrdinalIgnoreCase) =>
                await ReadFormAsync(request.Body, HeaderUtilities.RemoveQuotes(type.Boundary).Value, tenant, files, cancellationToken),
            true when type.MediaType.Equals("application/octet-stream", StringComparison.OrdinalIgnoreCase) =>
                await ReadBareAsync(request, tenant, files, cancellationToken),
            true when type.MediaType.Equals("application/json", StringComparison.OrdinalIgnoreCase) =>
                await ReadJsonAsync(context, tenant, files, store, cancellationToken),
            _ => throw new FailureException("unsupported_media_type", "Send application/json with a uri, multipart/form-data with a file, or application/octet-stream with ?name=."),
        };
    }

    static async Task<ModelUpload> ReadJsonAsync(HttpContext context, string tenant, ModelFiles files, ArtifactStore store, CancellationToken cancellationToken)
    {
        var body = await JsonBody<RegisterModelRequest>.ReadAsync(context);
        var (request, errors) = (body.Value, body.Errors);
        ModelRegistration.Check(request.Name, request.Description, errors);
        PinnedFile? source = null;
        try
        {
            if (!string.IsNullOrEmpty(request.Uri))
                source = await FindAsync(store.For(tenant), request.Uri, cancellationToken);
            else if (!errors.Has("uri"))
                errors.Add("uri", "field_missing", "Say where the ONNX file is, as file://, az:// or https://, or upload it.");
        }
        catch (FailureException e)
        {
            errors.Add("uri", e.Failure);
        }

        errors.ThrowIfAny();
        using var local = await store.For(tenant).FetchAsync(source!, cancellationToken);
        await using var content = System.IO.File.OpenRead(local.Path);
        return new ModelUpload(request.Name, request.Description, await files.TakeAsync(tenant, content, "uri", cancellationToken), errors);
    }

    static async Task<PinnedFile> FindAsync(ArtifactStore store, string uri, CancellationToken cancellationToken)
    {
        if (uri.StartsWith("file:", StringComparison.OrdinalIgnoreCase))
            return store.Pin(uri, ArtifactAccess.Input, "uri");
        var found = await store.ListAsync(uri, [".onnx"], "uri", cancellationToken);
        return found is [var one]
            ? one
            : throw new FailureException("invalid_request", $"The uri names {found.Count} files; a model is one.", new FieldFailure("uri", "invalid_request", "Name one file."));
    }

    static async Task<ModelUpload> ReadBareAsync(HttpRequest request, string tenant, ModelFiles files, CancellationToken cancellationToken)
    {
        var errors = new FieldErrors();
        var (name, description) = ((string?)request.Query["name"], (string?)request.Query["description"]);
        ModelRegistration.Check(name, description, errors);
        errors.ThrowIfAny();
        return new ModelUpload(name, description, await files.TakeAsync(tenant, request.Body, "file", cancellationToken), errors);
    }

    static async Task<ModelUpload> ReadFormAsync(Stream body, string? boundary, string tenant, ModelFiles files, CancellationToken cancellationToken)
    {
        if (string.IsNullOrEmpty(boundary) || boundary.Length > 200)
            throw Malformed();
        using var incoming = files.Open(tenant);
        var upload = new ModelUpload(null, null, null, new FieldErrors());
        try
        {
            var form = new MultipartReader(boundary, body);
            while (await form.ReadNextSectionAsync(cancellationToken) is { } section)
                upload = await upload.AddAsync(section, incoming, cancellationToken);
        }
        catch (Exception e) when (e is InvalidDataException or IOException and not BadHttpRequestException)
        {
            throw Malformed();
        }

        ModelRegistration.Check(upload.Name, upload.Description, upload.Errors);
        upload = upload with { File = incoming.TryFinish(Model) };
        if (upload.File is null)
            upload.Errors.Add(Model, "field_missing", "The form has no file.");
        try
        {
            upload.Errors.ThrowIfAny();
            return upload;
        }
        catch
        {
            upload.Dispose();
            throw;
        }
    }

    async Task<ModelUpload> AddAsync(MultipartSection section, IncomingFiles incoming, CancellationToken cancellationToken)
    {
        var part = section.GetContentDispositionHeader();
        var field = HeaderUtilities.RemoveQuotes(part?.Name ?? default).Value ?? "";
        if (part?.IsFileDisposition() == true)
        {
            var name = HeaderUtilities.RemoveQuotes(part.FileNameStar.HasValue ? part.FileNameStar : part.FileName).Value ?? "";
            // Whatever its file is called: the others are what is called as the model says.
            if (field == Model || name == ModelFile.Model)
                await incoming.TakeModelAsync(section.Body, Model, cancellationToken);
            else
                await incoming.TakeOtherAsync(section.Body, name, field, cancellationToken);
            return this;
        }

        var text = await new StreamReader(section.Body).ReadBlockAsync(LongestField, cancellationToken);
        switch (field)
        {
            case "name":
                return this with { Name = text };
            case "description":
                return this with { Description = text };
            default:
                Errors.Add(field, "unknown_field", "There is no such field. Known here: name, description, file.");
                return this;
        }
    }

    static FailureException Malformed() => new("invalid_request", "The form breaks off or is not multipart/form-data.");
}

static class BoundedText
{
    public static async Task<string> ReadBlockAsync(this StreamReader reader, int most, CancellationToken cancellationToken)
    {
        var buffer = new char[most];
        var length = await reader.ReadBlockAsync(buffer, cancellationToken);
        return new string(buffer, 0, length);
    }
}
