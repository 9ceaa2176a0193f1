using System.Reflection;
using System.Security.Cryptography;
using Api.Edge;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using ServiceDefaults;

namespace Api.Requests;

/// <summary>
/// A handler's parameter: the body as <typeparamref name="T"/>, with everything that is wrong with its form in <see cref="Errors"/>.
/// No body at all reads as an empty object.
/// </summary>
sealed class JsonBody<T> : IEndpointParameterMetadataProvider where T : class
{
    static readonly ReadOnlyMemory<byte> Empty = "{}"u8.ToArray();

    public required T Value { get; init; }

    /// <summary>Of the bytes as received: tells whether a repeated Idempotency-Key came with the same request.</summary>
    public required string Sha256 { get; init; }

    public required FieldErrors Errors { get; init; }

    public static async ValueTask<JsonBody<T>?> BindAsync(HttpContext context, ParameterInfo parameter) => await ReadAsync(context);

    public static async Task<JsonBody<T>> ReadAsync(HttpContext context)
    {
        var most = context.RequestServices.GetRequiredService<IOptions<LimitOptions>>().Value.BodyBytes;
        using var body = await PooledBody.ReadAsync(context.Request, most, "Limits:BodyBytes", context.RequestAborted);
        var errors = new FieldErrors();
        return new JsonBody<T>
        {
            Value = StrictJson.Read<T>(body.Memory.Length == 0 ? Empty : body.Memory, errors),
            Sha256 = Convert.ToHexStringLower(SHA256.HashData(body.Memory.Span)),
            Errors = errors,
        };
    }

    public static void PopulateMetadata(ParameterInfo parameter, EndpointBuilder builder) =>
        builder.Metadata.Add(new AcceptsMetadata(["application/json"], typeof(T), isOptional: true));
}
