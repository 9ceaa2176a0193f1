using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Contracts;
using Contracts.OnlineScoring;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace GpuWorker.OnlineScoring;

/// <summary>
/// The worker's private route, for the API. It names the file to score with, so it is for callers who know <c>Workers:Key</c>; without a
/// key, for this machine alone.
/// </summary>
static class WorkerScoringApi
{
    internal static void MapWorkerScoring(this IEndpointRouteBuilder app) => app.MapPost(ScoringHeaders.Path, ScoreAsync).AllowAnonymous();

    static Task ScoreAsync(HttpContext context, ScoreEndpoint endpoint, IOptions<WorkerAccessOptions> access)
    {
        if (!IsAllowed(context, access.Value.Key))
        {
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return Task.CompletedTask;
        }
        return endpoint.ScoreAsync(context, Choose);
    }

    static bool IsAllowed(HttpContext context, string key)
    {
        if (key.Length == 0)
            return context.Connection.RemoteIpAddress is not { } address || IPAddress.IsLoopback(address);
        return context.Request.Headers[ScoringHeaders.Key] is [{ } given, ..]
            && CryptographicOperations.FixedTimeEquals(SHA256.HashData(Encoding.UTF8.GetBytes(given)), SHA256.HashData(Encoding.UTF8.GetBytes(key)));
    }

    static (ModelRef, AdapterRef?) Choose(HttpRequest request)
    {
        _ = long.TryParse(request.Headers[ScoringHeaders.Memory], NumberStyles.None, CultureInfo.InvariantCulture, out var memory);
        var model = new ModelRef(Header(request, ScoringHeaders.Model), Header(request, ScoringHeaders.Sha256), Header(request, ScoringHeaders.Uri), MemoryBytes: memory, Golden: Golden(request));
        return (model, request.Headers[ScoringHeaders.Adapter] is [{ Length: > 0 } adapter, ..]
            ? new AdapterRef(adapter, request.Headers[ScoringHeaders.AdapterSha256] is [{ Length: > 0 } sha256, ..] ? sha256 : null)
            : null);
    }

    static ModelGolden? Golden(HttpRequest request)
    {
        try
        {
            return request.Headers[ScoringHeaders.Golden] is [{ Length: > 0 } json, ..] ? WireJson.Read<ModelGolden>(json) : null;
        }
        catch (JsonException e)
        {
            throw new FailureException(new Failure("malformed_json", $"The header {ScoringHeaders.Golden} is not JSON."), inner: e);
        }
    }

    static string Header(HttpRequest request, string name) => request.Headers[name] is [{ Length: > 0 } value, ..]
        ? value
        : throw new FailureException("field_missing", $"The header {name} is missing.", new FieldFailure(name, "field_missing", "It is missing."));
}
